"""The routes of the primary dialect."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from diffusionapi.api.answers import DeliveredResponse, file_answer, ready_json
from diffusionapi.api.dialect import dialect_router, status_of
from diffusionapi.api.primary import listing, schemas, translate
from diffusionapi.api.primary.events import render
from diffusionapi.core.events import Picture  # noqa: TC001 - FastAPI reads annotations at run time
from diffusionapi.core.job import JobState
from diffusionapi.core.sampling import SAMPLERS, SCHEDULES
from diffusionapi.errors import Error, QueueFull, UnknownJob
from diffusionapi.jobs.store import IdempotencyKey
from diffusionapi.service import Service

_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def face(error: Error) -> Response:
    """Any failure as the primary dialect says it: `error` and `detail` hold the same sentence."""
    body = schemas.ErrorResponse(error=error.sentence, detail=error.sentence)
    if isinstance(error, UnknownJob):
        body = schemas.UnknownJobResponse(**body.model_dump(), job_id=error.job_id)
    response = ready_json(body, status_of(error))
    if isinstance(error, QueueFull):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


# Dependencies are coroutines: FastAPI would send plain functions through its threads, at twice a poll's cost.


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _job_id(job_id: Annotated[str, Path(description="As `POST /txt2img` gave it")]) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise UnknownJob(job_id[:100])
    return job_id


Core = Annotated[Service, Depends(_service)]
JobId = Annotated[str, Depends(_job_id)]


_NO_JOB = "No such job: it never was, or its final answer was fetched"
_NO_STORAGE = "The queue cannot be reached"
_BAD_PARAMETER = "A parameter is wrong; the sentence names it"


def _failures(**meanings: str) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route for the documentation: `_422="…"`."""
    meanings.setdefault("_500", "The server failed; its log says why")
    return {
        int(status.removeprefix("_")): {
            "model": schemas.UnknownJobResponse if meaning == _NO_JOB else schemas.ErrorResponse,
            "description": meaning,
        }
        for status, meaning in meanings.items()
    }


def _as_json(failures: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """The same for a route whose success is no JSON: FastAPI would give failures its media type."""
    return {
        status: {
            "description": one["description"],
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{one['model'].__name__}"}}
            },
        }
        for status, one in failures.items()
    }


router: APIRouter = dialect_router(face, tags=["primary"])


@router.get("/hello", summary="Is the server there?", responses=_failures())
async def hello() -> schemas.HelloResponse:
    return schemas.HelloResponse(ok=True)


Details = Annotated[bool, Query(description="Also say what each is, from a look at its files")]


@router.get(
    "/models",
    summary="Installed models",
    response_model=schemas.DetailedModelsResponse | schemas.ModelsResponse,
    responses=_failures(_422=_BAD_PARAMETER),
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


@router.get("/models/aliases", summary="Labels that requests may use for models", responses=_failures())
def list_model_aliases(core: Core) -> schemas.ModelAliasesResponse:
    models = [schemas.ModelInfo(name=name, label=label) for name, label in core.catalog.labels.items()]
    return schemas.ModelAliasesResponse(models=models, message=f"{len(models)} models have a label")


@router.get(
    "/loras",
    summary="Installed LoRAs",
    response_model=schemas.DetailedLorasResponse | schemas.LorasResponse,
    responses=_failures(_422=_BAD_PARAMETER),
)
def list_loras(core: Core, details: Details = False) -> schemas.LorasResponse | schemas.DetailedLorasResponse:
    if details:
        return schemas.DetailedLorasResponse(loras=listing.loras(core.catalog))
    return schemas.LorasResponse(
        loras=[schemas.LoraInfo(name=one.name, scale=1.0) for one in core.catalog.loras]
    )


@router.get("/upscalers", summary="Upscalers for the hires fix", responses=_failures())
def list_upscalers(core: Core) -> schemas.UpscalersResponse:
    folder = core.settings.upscalers_dir
    upscalers = [
        schemas.UpscalerInfo(name=one.name, path=str(folder / one.path.name) if one.path else "internal")
        for one in core.catalog.upscalers
    ]
    return schemas.UpscalersResponse(upscalers=upscalers)


@router.get("/sampling_methods", summary="Samplers and schedule types", responses=_failures())
async def list_sampling_methods() -> schemas.SamplingMethodsResponse:
    return schemas.SamplingMethodsResponse(sampling_methods=list(SAMPLERS), scheduler_types=list(SCHEDULES))


@router.post(
    "/txt2img",
    summary="Submit a picture",
    responses=_failures(
        _400="The body is not JSON",
        _413="The body is too large",
        _422="A field is wrong; the sentence names it",
        _429="The queue is full; `Retry-After` says when to try again",
        _503=_NO_STORAGE,
        _507="No space is left",
    ),
)
async def txt2img(
    core: Core,
    body: Annotated[
        schemas.Txt2ImgRequest,
        Body(openapi_examples={"forest": {"summary": "A forest", "value": schemas.TXT2IMG_EXAMPLE}}),
    ],
    idempotency_key: Annotated[
        str | None,
        Header(
            max_length=255,
            description="The client's own name for this request; for 24 hours it gives the same job",
        ),
    ] = None,
) -> schemas.Txt2ImgResponse:
    """The job waits in the queue; ask for it at `GET /queue/{job_id}`."""
    ticket = await asyncio.to_thread(translate.ticket, body, core.catalog, core.settings)
    key = None
    if idempotency_key:
        fingerprint = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
        key = IdempotencyKey(idempotency_key, fingerprint)
    return schemas.Txt2ImgResponse(job_id=await core.submit(ticket, key), status="queued")


@router.get(
    "/queue",
    summary="What runs and what waits",
    responses=_failures(_422=_BAD_PARAMETER, _503=_NO_STORAGE),
)
async def list_queue(
    core: Core, limit: Annotated[int, Query(ge=1, le=1000, description="Waiting jobs to list")] = 100
) -> schemas.QueueListing:
    listing, now = await core.listing(limit), time.time()
    return schemas.QueueListing(
        running=[translate.entry(one, now) for one in listing.running],
        waiting=[translate.entry(one, now) for one in listing.waiting],
        waiting_total=listing.waiting_total,
    )


@router.get(
    "/queue/{job_id}",
    summary="How far a job is, and its picture",
    response_model=schemas.FinishedStatus | schemas.QueueStatus,
    responses=_failures(_404=_NO_JOB, _422=_BAD_PARAMETER, _503=_NO_STORAGE),
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
) -> Response:
    """Once the answer with the picture (or the failure) was delivered, the job is forgotten."""
    progress = await core.wait(job_id, wait) if wait else core.look(job_id)
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
    responses=_failures(
        _404=_NO_JOB,
        _422=_BAD_PARAMETER,
        _409="The job has ended already",
        _503=_NO_STORAGE,
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
    responses=_as_json(_failures(_404=_NO_JOB, _422=_BAD_PARAMETER, _503=_NO_STORAGE)),
)
async def job_events(
    core: Core,
    request: Request,
    job_id: Annotated[str, Depends(_known_job)],
    last_event_id: Annotated[str | None, Header(description="Go on after this event")] = None,
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
    async for one in core.watch(job_id, after):
        yield render(job_id, one, links)


@router.get(
    "/images/{name}",
    summary="A finished picture",
    response_class=FileResponse,
    responses=_as_json(_failures(_404="No such picture", _422=_BAD_PARAMETER))
    | {
        200: {"content": {"image/jpeg": {}, "image/png": {}}, "description": "The file"},
        206: {"content": {"image/jpeg": {}, "image/png": {}}, "description": "The range that was asked for"},
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
