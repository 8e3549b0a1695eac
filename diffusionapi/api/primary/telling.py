"""What the primary dialect says of a job while it waits, while it runs, and when it has ended."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from diffusionapi.api.primary.schemas import (
    EnlargedStatus,
    FinishedStatus,
    InEnglish,
    LearningStatus,
    LearntStatus,
    PreviewedStatus,
    QueueEntry,
    QueueStatus,
    Sampling,
    State,
)
from diffusionapi.core.events import Step
from diffusionapi.core.job import JobState
from diffusionapi.core.request import GenerationRequest

if TYPE_CHECKING:
    from diffusionapi.core.events import Picture, Preview, Trained
    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.jobs.store import Entry

_STATES: dict[JobState, State] = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "processing",
    JobState.DONE: "done",
    JobState.FAILED: "error",
    JobState.CANCELLED: "error",
}


def status(job_id: str, progress: Progress) -> QueueStatus:
    """The answer for a job of which nothing has come (yet)."""
    error = None
    if progress.failure is not None:
        error = progress.failure.sentence
    elif progress.state is JobState.CANCELLED:
        error = "The job was cancelled"
    told = QueueStatus(
        status="error" if error else "success",
        job_id=job_id,
        progress=percent(progress),
        current_phase=progress.phase,
        state=_STATES[progress.state],
        error=error,
    )
    step = _lesson(progress)
    if step is None or step.loss is None:
        return told
    return LearningStatus(**told.model_dump(), step=step.step, steps=step.steps, loss=step.loss)


def _lesson(progress: Progress) -> Step | None:
    """The last step of a training that runs and has begun to learn."""
    if progress.state is not JobState.RUNNING:
        return None
    steps = (one.event for one in reversed(progress.recent) if isinstance(one.event, Step))
    return next((one for one in steps if one.loss is not None), None)


def previewed(job_id: str, progress: Progress, preview: Preview | None) -> PreviewedStatus:
    told = status(job_id, progress).model_dump(include=set(QueueStatus.model_fields))
    return PreviewedStatus(**told, preview=base64.b64encode(preview.content).decode() if preview else None)


def finished(job: Ticket, picture: Picture, content: bytes, output_path: str) -> EnlargedStatus:
    """Of a picture that was only made larger there is no seed to tell, and it was not sampled."""
    told = EnlargedStatus(
        **_done(job.id).model_dump(),
        payload=job.payload,
        image=base64.b64encode(content).decode(),
        output_path=output_path,
        width=picture.width,
        height=picture.height,
        file_type=picture.file_type,
        jpeg_quality=picture.quality,
        generation_time_sec=picture.seconds,
        memory_before_mb=picture.memory_before_mb,
        memory_after_mb=picture.memory_after_mb,
    )
    if not isinstance(job.request, GenerationRequest):
        return told
    return FinishedStatus(**told.model_dump(), seed=picture.seed, sampling=sampled(picture))


def learnt(job: Ticket, trained: Trained, output_path: str) -> LearntStatus:
    return LearntStatus(
        **_done(job.id).model_dump(),
        payload=job.payload,
        lora=trained.name,
        output_path=output_path,
        model=trained.model,
        steps=trained.steps,
        loss=trained.loss,
        training_time_sec=trained.seconds,
        notices=list(job.notices),
    )


def _done(job_id: str) -> QueueStatus:
    return QueueStatus(
        status="success", job_id=job_id, progress=100, current_phase="done", state="done", error=None
    )


def sampled(picture: Picture) -> Sampling | None:
    how = picture.sampled
    if how is None:
        return None
    return Sampling(
        sampler_name=how.sampler,
        scheduler_type=how.schedule,
        steps=how.steps,
        hires_steps=how.hires_steps,
        seed=how.seed,
        notices=list(how.notices),
        translated=(
            InEnglish(prompt=how.translated[0], negative_prompt=how.translated[1]) if how.translated else None
        ),
        flagged=how.flagged if how.checked else None,
    )


def entry(one: Entry, now: float) -> QueueEntry:
    began = one.progress.started_at if one.progress.state is JobState.RUNNING else None
    return QueueEntry(
        job_id=one.job_id,
        kind=one.mode,
        state=_STATES[one.progress.state],
        current_phase=one.progress.phase,
        progress=percent(one.progress),
        position=one.position,
        waiting_time_sec=round(max(0.0, (began or now) - one.created_at), 2),
    )


def percent(progress: Progress) -> float:
    return round(100 * progress.fraction, 2)
