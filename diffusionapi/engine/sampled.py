"""What a picture's result says of how it was sampled: the steps that were made, and where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.core.events import Sampled
from diffusionapi.engine.samplers.schedules import CALLS_A_STEP

if TYPE_CHECKING:
    from diffusionapi.core.request import GenerationRequest


def sampled(request: GenerationRequest, calls: int, second_calls: int | None) -> Sampled:
    """After so many network calls in the first pass, and in the second if there was one."""
    steps, notices = _steps(request.sampler, calls), []
    if steps != request.steps:
        notices.append(_notice(request, steps, request.steps))
    hires_steps = None
    if request.hires is not None and second_calls is not None:
        hires_steps = _steps(request.sampler, second_calls)
        if hires_steps != request.hires.steps:
            notices.append(f"{_notice(request, hires_steps, request.hires.steps)} in the second pass")
    return Sampled(request.sampler, request.schedule, request.seed, steps, hires_steps, tuple(notices))


def _steps(sampler: str, calls: int) -> int:
    """The last step may need fewer calls than the others."""
    return -(-calls // CALLS_A_STEP.get(sampler, 1))


def _notice(request: GenerationRequest, made: int, asked: int) -> str:
    schedule = "" if request.schedule == "own" else f" on the schedule {request.schedule!r}"
    return f"{request.sampler}{schedule} made {made} steps, not {asked}"
