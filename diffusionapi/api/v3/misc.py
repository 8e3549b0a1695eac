"""The routes around single pictures, and the wish for a model to be there."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Request

from diffusionapi.api import series
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3 import lists_schemas, naming, telling
from diffusionapi.api.v3 import misc_schemas as schemas
from diffusionapi.api.v3.caller import Asker, Sender, State  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3.face import NotDone, NotThere, UnknownModelId, failures, v3_router
from diffusionapi.api.v3.schemas import FailedAnswer, V3Refused
from diffusionapi.api.v3.state import DIALECT, PICTURES
from diffusionapi.api.v3.wording import missing
from diffusionapi.core.job import JobState, Ticket
from diffusionapi.core.request import GenerationRequest, Source
from diffusionapi.errors import BadRequest, BrokenModel, JobEnded, UnknownJob, UnknownPicture

if TYPE_CHECKING:
    from diffusionapi.api.v3.caller import Caller
    from diffusionapi.api.v3.state import V3State
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.core.job import Progress
    from diffusionapi.service import Service

router = v3_router()

NO_IMAGE = "Image not found"
NO_CHECKER = "No safety checker is installed on this server"
_CROPPED = 512
"""Pixels a side, as documents of this API have it."""
_LOOKED_AT = 512
"""Pixels of the longer side of what the safety checker is shown: it looks at 224 itself."""
_CELL = 8
"""Pixels a side of the grid that sizes of requests are on."""
_LEAST = 64
_PATIENCE = 0.5
"""Seconds between two looks whether a client is still there."""
_UNUSED_QUALITY = 85
_INSTALLING = "whoever runs this server installs models, by `python -m diffusionapi.models pull org/name`"


def _example(value: dict[str, Any]) -> Any:
    return Body(openapi_examples={"one": {"summary": "As clients send it", "value": value}})


@router.post(
    "/api/v3/base64_crop",
    summary="Keep a picture, cut to a square if wanted",
    response_model=schemas.Cropped | FailedAnswer | V3Refused,
    responses=failures(),
)
async def base64_crop(
    core: Core,
    state: State,
    _: Sender,
    request: Request,
    body: Annotated[schemas.Crop, _example(schemas.CROP_EXAMPLE)],
) -> schemas.Cropped:
    square = _CROPPED if body.crop else None
    upload = await core.intake.picture(body.image, "image", here=str(request.base_url), square=square)
    return schemas.Cropped(link=f"{state.base(request)}{PICTURES}{upload}")


@router.post(
    "/api/v3/delete_image",
    summary="Delete the pictures of a request, or one of them",
    response_model=lists_schemas.Done | FailedAnswer | V3Refused,
    responses=failures(),
)
async def delete_image(
    core: Core,
    state: State,
    caller: Asker,
    body: Annotated[schemas.Deletion, _example(schemas.DELETION_EXAMPLE)],
) -> lists_schemas.Done:
    """Those of this key. A request that has not ended is taken back, and keeps what is finished of it."""
    if body.request_id is not None:
        return await asyncio.to_thread(_delete_all, core, state, caller, body.request_id)
    if body.image is not None:
        await asyncio.to_thread(_delete, core, state, caller, body.image)
    else:
        raise missing("image")
    return lists_schemas.done("image deleted")


def _delete_all(core: Service, state: V3State, caller: Caller, number: str | int) -> lists_schemas.Done:
    made = telling.find(core, state, caller.name, number)
    if not made.over:
        for job_id in reversed(made.ticket.payload["jobs"]):
            with suppress(JobEnded, UnknownJob):
                core.store.cancel(job_id)
        return lists_schemas.done("request cancelled")
    for job_id, one in zip(made.ticket.payload["jobs"], made.jobs, strict=True):
        if one is not None and one.picture is not None:
            core.blobs.remove(one.picture.name)
        with suppress(UnknownJob):
            core.store.forget(job_id)
    return lists_schemas.done("image deleted")


def _delete(core: Service, state: V3State, caller: Caller, image: str) -> None:
    try:
        ticket, picture = state.made(image.rstrip("/").rpartition("/")[2])
    except UnknownPicture:
        raise NotThere(NO_IMAGE) from None
    if ticket.payload["owner"] != caller.name or not core.blobs.exists(picture.name):
        raise NotThere(NO_IMAGE)
    core.blobs.remove(picture.name)


@router.post(
    "/api/v3/nsfw_image_check",
    summary="Ask the safety checker about a picture",
    response_model=schemas.Checked | FailedAnswer | V3Refused,
    responses=failures(),
)
async def nsfw_image_check(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[schemas.Check, _example(schemas.CHECK_EXAMPLE)],
) -> schemas.Checked | FailedAnswer:
    """It waits its turn in the queue like any request, and the answer comes when it is done."""
    model = await asyncio.to_thread(_checking, core.catalog)
    upload = await core.intake.picture(body.init_image, "init_image", here=str(request.base_url))
    size = await asyncio.to_thread(core.intake.uploads.size, upload)
    payload = {"owner": caller.name, "webhook": None}
    ticket = Ticket(str(uuid.uuid4()), DIALECT, time.time(), _look_at(upload, size, model), payload)
    await core.submit(ticket)
    progress = await _end(core, request, ticket.id)
    if progress.picture is None or progress.picture.sampled is None:
        return FailedAnswer(tip=progress.failure.sentence if progress.failure else series.CANCELLED)
    given = body.init_image if body.init_image.lower().startswith(("http://", "https://")) else None
    return schemas.Checked(
        images=given or f"{state.base(request)}{PICTURES}{upload}",
        has_nsfw_concept=[progress.picture.sampled.flagged],
    )


def _checking(catalog: Catalog) -> Installed:
    """A model whose pictures are checked: the server's own, if it is."""
    for one in (naming.subject(None, catalog, required=False).model, *catalog.models):
        with suppress(BrokenModel):
            found = catalog.found_model(one)
            if (found is None or found.family != "refiner") and catalog.safety_checker(one) is not None:
                return one
    raise NotDone(NO_CHECKER)


def _look_at(upload: str, size: tuple[int, int], model: Installed) -> GenerationRequest:
    """A picture that begins with this one and changes nothing of it, so that only the checker has work."""
    shrunk = min(1.0, _LOOKED_AT / max(size))
    width, height = (max(_LEAST, round(side * shrunk / _CELL) * _CELL) for side in size)
    return GenerationRequest(
        prompt="",
        negative_prompt="",
        model=model.name,
        width=width,
        height=height,
        steps=1,
        guidance=1.0,
        sampler="Euler",
        schedule="default",
        seed=0,
        file_type="png",
        quality=_UNUSED_QUALITY,
        clip_skip=None,
        loras=(),
        hires=None,
        refiner=None,
        source=Source(upload, 0.0, "stretch", None),
        safety="required",
    )


async def _end(core: Service, request: Request, job_id: str) -> Progress:
    """How a job ended, of which nothing is left then. Whoever hangs up takes it back."""
    progress = await core.look(job_id)
    while not progress.state.ended:
        if core.closing or await request.is_disconnected():
            with suppress(JobEnded, UnknownJob):
                await core.cancel(job_id)
        progress = await core.wait(job_id, _PATIENCE)
        if core.closing:
            raise NotDone("The server is being stopped; try again")
    if progress.state is JobState.DONE and progress.picture is not None:
        await asyncio.to_thread(core.blobs.remove, progress.picture.name)
    await core.forget(job_id)
    return progress


@router.post(
    "/api/v3/load_model",
    summary="Ask for a model to be there",
    response_model=lists_schemas.Started | FailedAnswer | V3Refused,
    responses=failures(),
)
async def load_model(
    core: Core, _: Asker, body: Annotated[schemas.LoadModel, _example(schemas.LOAD_EXAMPLE)]
) -> lists_schemas.Started:
    """Of what is installed it says so. Nothing is fetched: what this server runs is its operator's choice."""
    await asyncio.to_thread(_check_installed, body, core.catalog)
    return lists_schemas.Started(message="model load started")


def _check_installed(body: schemas.LoadModel, catalog: Catalog) -> None:
    if body.model_id is None:
        raise UnknownModelId(_INSTALLING)
    look = {
        "controlnet": catalog.controlnet,
        "lora": catalog.lora,
        "embeddings": catalog.embedding,
        "vae": catalog.vae,
    }.get(body.model_category)
    try:
        if look is None:
            naming.subject(body.model_id, catalog, required=True)
        else:
            look(body.model_id, naming.MODEL)
    except UnknownModelId as unknown:
        raise UnknownModelId(f"{unknown.tip}; {_INSTALLING}") from unknown
    except BadRequest as unknown:
        raise UnknownModelId(f"{unknown.problem}; {_INSTALLING}") from unknown
