"""A task's life in four events, told from how far its job is; each comes once, and always in this order."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import TYPE_CHECKING

from diffusionapi.api.tasks import schemas
from diffusionapi.core.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.core.job import Progress, Ticket

    Url = Callable[[str], str]

DIALECT = "tasks"
CANCELLED = "Task cancelled by user"
_PARAMS: dict[str, type[schemas.Txt2ImgParams | schemas.Img2ImgParams | schemas.InpaintParams]] = {
    "txt2img": schemas.Txt2ImgParams,
    "img2img": schemas.Img2ImgParams,
    "inpaint": schemas.InpaintParams,
}


class Stage(IntEnum):
    PENDING = 1
    STARTED = 2
    """It stays there when its worker dies and it waits again: clients never see it go back."""
    ENDED = 3


def stage_of(progress: Progress) -> Stage:
    if progress.state.ended:
        return Stage.ENDED
    begun = progress.state is JobState.RUNNING or progress.started_at is not None
    return Stage.STARTED if begun else Stage.PENDING


def event(ticket: Ticket, progress: Progress, stage: Stage, url: Url) -> schemas.TaskEvent:
    """What a client is told of a stage; `url` makes one of a picture's name."""
    if stage is Stage.PENDING:
        return schemas.PendingEvent(task_id=ticket.id)
    if stage is Stage.STARTED:
        return schemas.StartedEvent(task_id=ticket.id)
    if (reason := abort_reason(ticket, progress)) is not None:
        return schemas.AbortedEvent(task_id=ticket.id, reason=reason)
    return schemas.FinishedEvent(task_id=ticket.id, result=result(ticket, progress, url))


def latest(ticket: Ticket, progress: Progress, url: Url) -> schemas.TaskEvent:
    return event(ticket, progress, stage_of(progress), url)


def abort_reason(ticket: Ticket, progress: Progress) -> str | None:
    """Why an ended task has no result; None if it has one."""
    if problem := ticket.payload.get("problem"):
        return f"Internal error: {problem}"
    if progress.picture is not None and progress.state is JobState.DONE:
        return None
    if progress.failure is not None:
        return f"Internal error: {progress.failure.sentence}"
    return CANCELLED


def result(ticket: Ticket, progress: Progress, url: Url) -> schemas.GeneratedBlob:
    assert progress.picture is not None
    params = ticket.payload["params"]
    # Checked when it came in, perhaps by another version's limits.
    used = _PARAMS[params["params_type"]].model_construct(**params)
    return schemas.GeneratedBlob.model_construct(blob_url=url(progress.picture.name), parameters_used=used)


def is_checked(progress: Progress) -> bool:
    """Whether a safety checker has looked at the picture."""
    how = progress.picture.sampled if progress.picture else None
    return how is not None and how.checked


def frame(one: schemas.TaskEvent, *, doubly: bool) -> str:
    """An event as a text frame. The original's clients expect JSON inside a JSON string."""
    text = json.dumps(one.model_dump())
    return json.dumps(text) if doubly else text
