"""The routes of the primary dialect: how jobs go, and their pictures; others have their own modules."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from diffusionapi.api.answers import DeliveredResponse, as_json, file_answer, of_files, ready_json
from diffusionapi.api.dialect import dialect_router
from diffusionapi.api.fields import Number
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.primary import (
    enlarging,
    img_info,
    lists,
    lists_schemas,
    schemas,
    submit,
    telling,
    training,
    translate,
)
from diffusionapi.api.primary.events import lost, render, shown
from diffusionapi.api.primary.face import BAD_PARAMETER, NO_JOB, NO_STORAGE, face, failures
from diffusionapi.core.events import Picture, Preview, Trained
from diffusionapi.core.job import JobState
from diffusionapi.errors import UnknownJob

if TYPE_CHECKING:
    from diffusionapi.service import Service

_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


async def _job_id(core: Core, job_id: Annotated[str, Path(description="As `POST /txt2img` gave it")]) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise UnknownJob(job_id[:100])
    if not await core.belongs(job_id, translate.DIALECT):
        raise UnknownJob(job_id)
    return job_id


JobId = Annotated[str, Depends(_job_id)]

router = dialect_router(face, tags=["primary"])
for part in (submit, enlarging, training, img_info, lists):
    router.include_router(part.router)


@router.get("/hello", summary="Is the server there?", responses=failures())
async def hello() -> lists_schemas.HelloResponse:
    return lists_schemas.HelloResponse(ok=True)


@router.get(
    "/queue",
    summary="What runs and what waits",
    responses=failures(_422=BAD_PARAMETER, _503=NO_STORAGE),
)
async def list_queue(
    core: Core,
    limit: Annotated[int, Query(ge=1, le=1000, description="Waiting jobs to list"), Number()] = 100,
) -> schemas.QueueListing:
    listing, now = await core.listing(limit, translate.DIALECT), time.time()
    return schemas.QueueListing(
        running=[telling.entry(one, now) for one in listing.running],
        waiting=[telling.entry(one, now) for one in listing.waiting],
        waiting_total=listing.waiting_total,
    )


WithPreviews = Annotated[bool, Query(description="Also show what the picture looks like while it is drawn")]


@router.get(
    "/queue/{job_id}",
    summary="How far a job is, and what came of it",
    response_model=schemas.FinishedStatus
    | schemas.EnlargedStatus
    | schemas.LearntStatus
    | schemas.LearningStatus
    | schemas.PreviewedStatus
    | schemas.QueueStatus,
    responses=failures(_404=NO_JOB, _422=BAD_PARAMETER, _503=NO_STORAGE),
)
async def queue_status(
    core: Core,
    job_id: JobId,
    wait: Annotated[
        float,
        Query(
            ge=0, le=60, allow_inf_nan=False, description="Answer at the job's end, or after so many seconds"
        ),
    ] = 0,
    preview: WithPreviews = False,
) -> Response:
    """Once the answer with the picture (or the LoRA's name, or the failure) was delivered, the job is
    forgotten."""
    if preview:
        await core.want_preview(job_id)
    progress = await core.wait(job_id, wait) if wait else await core.look(job_id)
    if not progress.state.ended and preview:
        return ready_json(telling.previewed(job_id, progress, await core.preview(job_id)))
    if not progress.state.ended:
        return ready_json(telling.status(job_id, progress))
    if progress.state is JobState.DONE and progress.picture is not None:
        ticket, content = await core.load(job_id)
        path = core.blobs.place(progress.picture.name)
        answer: schemas.QueueStatus = telling.finished(ticket, progress.picture, content, path)
    elif progress.state is JobState.DONE and progress.trained is not None:
        path = _lora_file(core, progress.trained)
        answer = telling.learnt(await core.ticket(job_id), progress.trained, path)
    else:
        answer = telling.status(job_id, progress)
    return DeliveredResponse(answer.model_dump_json().encode(), partial(core.forget, job_id))


@router.head("/queue/{job_id}", include_in_schema=False)
async def queue_head(core: Core, job_id: JobId) -> Response:
    """Is there such a job? Uses up nothing."""
    await core.look(job_id)
    return Response(media_type="application/json")


@router.delete(
    "/queue/{job_id}",
    summary="Cancel a waiting or running job",
    responses=failures(
        _404=NO_JOB,
        _422=BAD_PARAMETER,
        _409="The job has ended already",
        _503=NO_STORAGE,
        _507="No space is left",
    ),
)
async def cancel_job(core: Core, job_id: JobId) -> schemas.CancelResponse:
    """A running job stops within a step. Its last answer at `GET /queue/{job_id}` has the state `error`."""
    progress = await core.cancel(job_id)
    return schemas.CancelResponse(job_id=job_id, state="cancelled" if progress.state.ended else "cancelling")


@dataclass(frozen=True, slots=True)
class _Links:
    core: Service
    base: str

    def picture(self, made: Picture) -> dict[str, str]:
        path = self.core.blobs.place(made.name)
        return {"image_url": f"{self.base}/images/{made.name}", "output_path": path}

    def lora(self, made: Trained) -> dict[str, str]:
        return {"output_path": _lora_file(self.core, made)}


def _lora_file(core: Service, made: Trained) -> str:
    return str(core.settings.loras_dir / f"{made.name}.safetensors")


async def _known_job(core: Core, job_id: JobId) -> str:
    """Refuse an unknown job while the answer can still be a 404."""
    await core.look(job_id)
    return job_id


@router.get(
    "/queue/{job_id}/events",
    summary="A job's events as they happen",
    response_class=EventSourceResponse,
    responses=as_json(failures(_404=NO_JOB, _422=BAD_PARAMETER, _503=NO_STORAGE)),
)
async def job_events(
    core: Core,
    request: Request,
    job_id: Annotated[str, Depends(_known_job)],
    last_event_id: Annotated[str | None, Header(description="Go on after this event")] = None,
    preview: WithPreviews = False,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: queued (with position), started, phase, step, then finished, failed or cancelled.

    Watching uses up nothing: the picture is fetched by its `image_url` or at `GET /queue/{job_id}`.
    """

    base = core.settings.base_url or str(request.base_url).rstrip("/")
    after = (
        int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 19 else 0
    )
    try:
        async for one in core.watch(job_id, after, previews=preview):
            yield shown(job_id, one) if isinstance(one, Preview) else render(job_id, one, _Links(core, base))
    except UnknownJob as unknown:  # it was fetched long ago, or the queue has lost it
        yield lost(job_id, unknown)


@router.head("/queue/{job_id}/events", include_in_schema=False)
async def events_head(_: Annotated[str, Depends(_known_job)]) -> Response:
    """Without the events, for whose end nobody is to wait."""
    return Response(media_type="text/event-stream")


@router.get(
    "/images/{name}",
    summary="A finished picture",
    response_class=FileResponse,
    responses=of_files(
        failures(_404="No such picture", _422=BAD_PARAMETER, _503=NO_STORAGE), "image/jpeg", "image/png"
    ),
)
def picture(
    core: Core, request: Request, name: Annotated[str, Path(description="`{job_id}.jpg` or `{job_id}.png`")]
) -> Response:
    return file_answer(core.blobs.kept(name), request)


@router.head("/images/{name}", include_in_schema=False)
def picture_head(core: Core, request: Request, name: str) -> Response:
    return file_answer(core.blobs.kept(name), request)
