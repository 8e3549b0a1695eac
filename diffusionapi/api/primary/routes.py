"""The routes of the primary dialect: what is installed, how jobs go, pictures; submitting is in submit.py."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from diffusionapi.api.answers import DeliveredResponse, as_json, file_answer, ready_json
from diffusionapi.api.dialect import dialect_router
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.primary import img_info, listing, schemas, submit, translate
from diffusionapi.api.primary.events import render, shown
from diffusionapi.api.primary.face import BAD_PARAMETER, NO_JOB, NO_STORAGE, face, failures
from diffusionapi.core.events import Picture, Preview
from diffusionapi.core.job import JobState
from diffusionapi.core.sampling import SAMPLERS, SCHEDULES
from diffusionapi.errors import UnknownJob

_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


async def _job_id(core: Core, job_id: Annotated[str, Path(description="As `POST /txt2img` gave it")]) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise UnknownJob(job_id[:100])
    if not core.of_dialect(job_id, translate.DIALECT):
        raise UnknownJob(job_id)
    return job_id


JobId = Annotated[str, Depends(_job_id)]

router = dialect_router(face, tags=["primary"])
router.include_router(submit.router)
router.include_router(img_info.router)


@router.get("/hello", summary="Is the server there?", responses=failures())
async def hello() -> schemas.HelloResponse:
    return schemas.HelloResponse(ok=True)


Details = Annotated[bool, Query(description="Also say what each is, from a look at its files")]


@router.get(
    "/models",
    summary="Installed models",
    response_model=schemas.DetailedModelsResponse | schemas.ModelsResponse,
    responses=failures(_422=BAD_PARAMETER),
)
def list_models(
    core: Core, details: Details = False
) -> schemas.ModelsResponse | schemas.DetailedModelsResponse:
    catalog = core.catalog
    if details:
        return schemas.DetailedModelsResponse(models=listing.models(catalog))
    labels = catalog.labels
    models = [
        schemas.ModelInfo(name=one.name, label=labels.get(one.name, one.name)) for one in catalog.models
    ]
    return schemas.ModelsResponse(models=models)


@router.get("/models/aliases", summary="Labels that requests may use for models", responses=failures())
def list_model_aliases(core: Core) -> schemas.ModelAliasesResponse:
    models = [schemas.ModelInfo(name=name, label=label) for name, label in core.catalog.labels.items()]
    return schemas.ModelAliasesResponse(models=models, message=f"{len(models)} models have a label")


@router.get(
    "/loras",
    summary="Installed LoRAs",
    response_model=schemas.DetailedLorasResponse | schemas.LorasResponse,
    responses=failures(_422=BAD_PARAMETER),
)
def list_loras(core: Core, details: Details = False) -> schemas.LorasResponse | schemas.DetailedLorasResponse:
    if details:
        return schemas.DetailedLorasResponse(loras=listing.loras(core.catalog))
    return schemas.LorasResponse(
        loras=[schemas.LoraInfo(name=one.name, scale=1.0) for one in core.catalog.loras]
    )


@router.get("/upscalers", summary="Upscalers for the hires fix", responses=failures())
def list_upscalers(core: Core) -> schemas.UpscalersResponse:
    folder = core.settings.upscalers_dir
    upscalers = [
        schemas.UpscalerInfo(name=one.name, path=str(folder / one.path.name) if one.path else "internal")
        for one in core.catalog.upscalers
    ]
    return schemas.UpscalersResponse(upscalers=upscalers)


@router.get("/sampling_methods", summary="Samplers and schedule types", responses=failures())
async def list_sampling_methods() -> schemas.SamplingMethodsResponse:
    return schemas.SamplingMethodsResponse(sampling_methods=list(SAMPLERS), scheduler_types=list(SCHEDULES))


@router.get(
    "/queue",
    summary="What runs and what waits",
    responses=failures(_422=BAD_PARAMETER, _503=NO_STORAGE),
)
async def list_queue(
    core: Core, limit: Annotated[int, Query(ge=1, le=1000, description="Waiting jobs to list")] = 100
) -> schemas.QueueListing:
    listing, now = await core.listing(limit, translate.DIALECT), time.time()
    return schemas.QueueListing(
        running=[translate.entry(one, now) for one in listing.running],
        waiting=[translate.entry(one, now) for one in listing.waiting],
        waiting_total=listing.waiting_total,
    )


WithPreviews = Annotated[bool, Query(description="Also show what the picture looks like while it is drawn")]


@router.get(
    "/queue/{job_id}",
    summary="How far a job is, and its picture",
    response_model=schemas.FinishedStatus | schemas.PreviewedStatus | schemas.QueueStatus,
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
    """Once the answer with the picture (or the failure) was delivered, the job is forgotten."""
    if preview:
        core.want_preview(job_id)
    progress = await core.wait(job_id, wait) if wait else core.look(job_id)
    if not progress.state.ended and preview:
        return ready_json(translate.previewed(job_id, progress, core.preview(job_id)))
    if not progress.state.ended:
        return ready_json(translate.status(job_id, progress))
    if progress.state is JobState.DONE and progress.picture is not None:
        ticket, content = await core.load(job_id)
        path = str(core.settings.outputs_dir / progress.picture.name)
        answer: schemas.QueueStatus = translate.finished(ticket, progress.picture, content, path)
    else:
        answer = translate.status(job_id, progress)
    return DeliveredResponse(answer.model_dump_json().encode(), partial(core.forget, job_id))


@router.head("/queue/{job_id}", include_in_schema=False)
async def queue_head(core: Core, job_id: JobId) -> Response:
    """Is there such a job? Uses up nothing."""
    core.look(job_id)
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


async def _known_job(core: Core, job_id: JobId) -> str:
    """Refuse an unknown job while the answer can still be a 404."""
    core.look(job_id)
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

    def links(picture: Picture) -> dict[str, str]:
        base = core.settings.base_url or str(request.base_url).rstrip("/")
        path = str(core.settings.outputs_dir / picture.name)
        return {"image_url": f"{base}/images/{picture.name}", "output_path": path}

    after = (
        int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 19 else 0
    )
    async for one in core.watch(job_id, after, previews=preview):
        yield shown(job_id, one) if isinstance(one, Preview) else render(job_id, one, links)


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILE = {"image/jpeg": _BINARY, "image/png": _BINARY}


@router.get(
    "/images/{name}",
    summary="A finished picture",
    response_class=FileResponse,
    responses=as_json(failures(_404="No such picture", _422=BAD_PARAMETER))
    | {
        200: {"content": _FILE, "description": "The file"},
        206: {"content": _FILE, "description": "The range that was asked for"},
        304: {"description": "The client has it already"},
        416: {"content": {"text/plain": {}}, "description": "The range lies outside the file"},
    },
)
def picture(
    core: Core, request: Request, name: Annotated[str, Path(description="`{job_id}.jpg` or `{job_id}.png`")]
) -> Response:
    return file_answer(core.blobs.path(name), request)


@router.head("/images/{name}", include_in_schema=False)
def picture_head(core: Core, request: Request, name: str) -> Response:
    return file_answer(core.blobs.path(name), request)
