"""What a training is said to be doing, in the words of the wire, and its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.core.events import Cancelled, Failed, Learned, Phase, Queued, Started, Step
from diffusionapi.core.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.core.events import Event
    from diffusionapi.core.job import Progress, Ticket

WAITING, STARTED, LEARNT = "deploying_gpu", "training_started", "training_success"
COMPRESSING, UPLOADING, UPLOADED = (
    "trained_model_compressing",
    "trained_model_uploading",
    "trained_model_uploaded",
)
DEPLOYING, READY = "deploying_model", "model_ready"
FAILED, CANCELLED = "training_failed", "cancelled"

ORDER = (WAITING, STARTED, LEARNT, COMPRESSING, UPLOADING, UPLOADED, DEPLOYING, READY, FAILED, CANCELLED)

_AGAIN = {
    "submitted": "Waiting",
    "crashed": "The engine died; waiting to go on",
    "interrupted": "The server was interrupted; waiting to go on",
    "given back": "The server was stopped; waiting to go on",
}
_PHASES = {
    "loading": "Loading the model",
    "preparing": "Painting pictures of the class",
    "training": "Training",
    "saving": "Saving",
}


def passed(progress: Progress) -> tuple[str, ...]:
    """All statuses that a training has had so far, in their order; the last one is the present one.

    What comes between the last step and the finished LoRA takes no time worth a name here, but clients wait
    for these names.
    """
    saving = progress.state is JobState.RUNNING and progress.phase == "saving"
    match progress.state:
        case JobState.DONE:
            return ORDER[: ORDER.index(READY) + 1]
        case JobState.FAILED | JobState.CANCELLED:
            end = FAILED if progress.state is JobState.FAILED else CANCELLED
            return (WAITING, end) if progress.started_at is None else (WAITING, STARTED, end)
        case _ if saving:
            return (WAITING, STARTED, LEARNT, COMPRESSING)
        case _:
            return (WAITING,) if progress.started_at is None else (WAITING, STARTED)


def present(progress: Progress) -> str:
    """As `passed` says, but of a training that waits again, that it waits."""
    return WAITING if progress.state is JobState.QUEUED else passed(progress)[-1]


def outcome(status: str) -> str:
    """What `status` says of a training: clients that wait for its end look at it, too."""
    return "failed" if status in (FAILED, CANCELLED) else "success"


def log_of(ticket: Ticket, progress: Progress) -> str:
    """What happened lately, a line an event."""
    lines = [line for one in progress.recent for line in _told(one.event)]
    return "\n".join([*ticket.notices, *(lines or [_AGAIN["submitted"]])])


def _told(event: Event) -> Iterator[str]:
    match event:
        case Queued(cause=cause):
            yield _AGAIN[cause]
        case Started(attempt=attempt):
            yield "Started" if attempt == 1 else f"Started, attempt {attempt}"
        case Phase(name=name):
            yield _PHASES.get(name, name.capitalize())
        case Step(step=step, steps=steps, loss=loss):
            yield f"Step {step} of {steps}" + ("" if loss is None else f", loss {loss:.4f}")
        case Learned(trained=trained):
            yield f"Finished: {trained.steps} steps in {trained.seconds:.0f} s, loss {trained.loss:.4f}"
        case Failed(failure=failure):
            yield failure.sentence
        case Cancelled():
            yield "Cancelled"
