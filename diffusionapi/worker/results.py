"""What the record of a job says of what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from diffusionapi.core.events import Failure, Picture, Trained
from diffusionapi.core.request import GenerationRequest
from diffusionapi.core.work import TrainingRequest, UpscaleRequest
from diffusionapi.worker.run import Overdue

if TYPE_CHECKING:
    from diffusionapi.core.job import Ticket
    from diffusionapi.engine.engine import Rendered, Taught
    from diffusionapi.errors import EngineDied


def picture(ticket: Ticket, rendered: Rendered, seconds: float) -> Picture:
    """One that was only made larger has no seed, and its model is the upscaler."""
    request, sampled = ticket.request, rendered.sampled
    assert not isinstance(request, TrainingRequest)
    model, seed = _origin(request)
    return Picture(
        name=f"{ticket.id}.{request.file_type}",
        file_type=request.file_type,
        width=rendered.width,
        height=rendered.height,
        quality=request.quality if request.file_type == "jpg" else None,
        seed=seed,
        model=model,
        seconds=round(seconds, 2),
        memory_before_mb=round(rendered.memory_before_mb, 2),
        memory_after_mb=round(rendered.memory_after_mb, 2),
        sampled=sampled and replace(sampled, notices=(*ticket.notices, *sampled.notices)),
    )


def _origin(request: GenerationRequest | UpscaleRequest) -> tuple[str, int]:
    if isinstance(request, GenerationRequest):
        return request.model, request.seed
    return request.upscaler, 0


def trained(request: TrainingRequest, taught: Taught, seconds: float) -> Trained:
    return Trained(request.name, request.model, taught.steps, taught.loss, round(seconds, 2))


def given_up(death: EngineDied, times: int) -> Failure:
    """After the last of so many deaths of the engine."""
    if isinstance(death, Overdue):
        return Failure(death.code, f"Given up after {times} attempts; the last time {death.sentence}")
    return Failure(
        death.code, f"The engine died {times} times under this job; the last time {death.sentence}"
    )
