"""A job's life as server-sent events: the core's events under the primary dialect's names."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol

from fastapi.sse import ServerSentEvent

from diffusionapi.api.primary import telling
from diffusionapi.core.events import (
    Cancelled,
    Failed,
    Finished,
    Learned,
    Numbered,
    Phase,
    Queued,
    Saving,
    Started,
    Step,
)

if TYPE_CHECKING:
    from diffusionapi.core.events import Event, Picture, Preview, Trained
    from diffusionapi.errors import UnknownJob


class Links(Protocol):
    """Where what came of a job is."""

    def picture(self, made: Picture, /) -> dict[str, str]: ...

    def lora(self, made: Trained, /) -> dict[str, str]: ...


def render(job_id: str, one: Numbered, links: Links) -> ServerSentEvent:
    """One event of the feed; its id lets a client that lost the connection go on after it."""
    name, fields = _fields(one.event, links)
    return ServerSentEvent(event=name, id=str(one.number), data={"job_id": job_id, **fields})


def shown(job_id: str, preview: Preview) -> ServerSentEvent:
    """Without an id: it is never told again."""
    told = {"step": preview.step, "steps": preview.steps, "width": preview.width, "height": preview.height}
    image = base64.b64encode(preview.content).decode()
    return ServerSentEvent(event="preview", data={"job_id": job_id, **told, "image": image})


def lost(job_id: str, unknown: UnknownJob) -> ServerSentEvent:
    """The end of a feed whose job is not known any more. Without an id: it is no event of the job's."""
    return ServerSentEvent(
        event="failed", data={"job_id": job_id, "code": unknown.code, "error": unknown.sentence}
    )


def _fields(event: Event, links: Links) -> tuple[str, dict[str, Any]]:
    match event:
        case Queued(cause=cause, position=position):
            return "queued", {"position": position, "cause": cause}
        case Started(attempt=attempt):
            return "started", {"attempt": attempt}
        case Phase(name=name):
            return "phase", {"current_phase": name}
        case Saving():
            return "phase", {"current_phase": "saving"}
        case Step(step=step, steps=steps, fraction=fraction, loss=loss):
            told = {"step": step, "steps": steps, "progress": round(100 * fraction, 2)}
            return "step", told if loss is None else told | {"loss": loss}
        case Finished(picture=picture):
            return "finished", links.picture(picture) | _made(picture)
        case Learned(trained=trained):
            return "finished", {
                "lora": trained.name,
                **links.lora(trained),
                "model": trained.model,
                "steps": trained.steps,
                "loss": trained.loss,
                "training_time_sec": trained.seconds,
            }
        case Failed(failure=failure):
            return "failed", {"code": failure.code, "error": failure.sentence}
        case Cancelled():
            return "cancelled", {}


def _made(picture: Picture) -> dict[str, Any]:
    """A picture that was only made larger was not sampled, and its record has the upscaler for a model."""
    told = {"width": picture.width, "height": picture.height, "file_type": picture.file_type}
    how = telling.sampled(picture)
    if how is None:
        return told | {"upscaler": picture.model, "generation_time_sec": picture.seconds}
    return told | {
        "seed": picture.seed,
        "model": picture.model,
        "generation_time_sec": picture.seconds,
        "sampling": how.model_dump(),
    }
