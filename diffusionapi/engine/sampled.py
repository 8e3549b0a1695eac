"""What a picture's result says of how it was sampled: the steps that were made, and where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.core.events import Sampled
from diffusionapi.engine.samplers.schedules import steps_of

if TYPE_CHECKING:
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.passes import Pass


def sampled(request: GenerationRequest, first: Pass, second: Pass | None, notice: str = "") -> Sampled:
    """After these passes; of a picture that starts from another, only the tail of the steps is expected."""
    steps, notices = steps_of(request.sampler, first.calls), [notice] if notice else []
    if first.calls and steps != first.steps:
        notices.append(_notice(request, steps, first.steps))
    hires_steps = None
    if second is not None:
        hires_steps = steps_of(request.sampler, second.calls)
        if hires_steps != second.steps:
            notices.append(f"{_notice(request, hires_steps, second.steps)} in the second pass")
    return Sampled(request.sampler, request.schedule, request.seed, steps, hires_steps, tuple(notices))


def _notice(request: GenerationRequest, made: int, asked: int) -> str:
    schedule = "" if request.schedule == "own" else f" on the schedule {request.schedule!r}"
    return f"{request.sampler}{schedule} made {made} steps, not {asked}"
