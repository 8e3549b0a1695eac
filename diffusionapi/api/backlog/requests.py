"""The routes of requests: what the engine takes, add one, look, take back, and its pictures."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated

from fastapi import Body, Path, Request, Response
from fastapi.responses import FileResponse

from diffusionapi.api.answers import file_answer, of_files, ready_json
from diffusionapi.api.backlog import record, schemas, translate
from diffusionapi.api.backlog.caller import Engine, State, Who  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.backlog.face import (
    BAD_REQUEST,
    BAD_TOKEN,
    FULL,
    NO_SPACE,
    NO_STORAGE,
    TOO_LARGE,
    backlog_router,
    failures,
)
from diffusionapi.api.backlog.state import BacklogState, username
from diffusionapi.api.backlog.translate import Place
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.errors import JobEnded, JobExists, UnknownJob

if TYPE_CHECKING:
    from diffusionapi.auth.clients import Client
    from diffusionapi.service import Service

router = backlog_router()

_NO_ENGINE = "There is no such engine"
_NO_REQUEST = "No such request, or no longer"
_NOT_YOURS = "Another client's request"
Uid = Annotated[str, Path(description="As `POST /api/v1/private/client/ai/diffusion` gave it")]


@cache
def _config() -> bytes:
    return (files(__package__) / "diffusion.json").read_bytes()


@router.get(
    "/api/v1/public/config/{engine}",
    summary="The parameters of an engine",
    response_model=schemas.ConfigAnswer,
    responses=failures(_404=_NO_ENGINE),
)
async def show_config(engine: Engine) -> Response:
    """As published; it describes the engine's arguments. `POST …/ai/diffusion` has defaults of its own."""
    del engine
    return Response(_config(), media_type="application/json")


@router.post(
    "/api/v1/private/client/ai/{engine}",
    status_code=201,
    summary="Add a request to the backlog",
    response_description="Its number",
    responses=failures(
        _400=BAD_REQUEST, _404=_NO_ENGINE, _409=FULL, _413=TOO_LARGE, _503=NO_STORAGE, _507=NO_SPACE
    ),
)
async def add_request(
    core: Core,
    state: State,
    client: Who,
    engine: Engine,
    request: Request,
    body: Annotated[
        schemas.DiffusionRequest,
        Body(openapi_examples={"coin": {"summary": "A coin", "value": schemas.DIFFUSION_EXAMPLE}}),
    ],
) -> schemas.AddedAnswer:
    """Ask for it at `GET /api/v1/private/client/request/{uid}`, or be called back."""
    del engine
    chosen = await asyncio.to_thread(translate.choose, body, core.catalog, core.settings)
    upload = None
    if body.url_upload:
        upload = await core.intake.picture(body.url_upload, "url_upload", here=str(request.base_url))
    while True:
        now = time.time()
        uid = state.new_uid(now)
        jobs = [state.job_id(uid, cycle) for cycle in range(body.cimg)]
        place = Place(uid, jobs, client, username(client), state.base(request))
        with suppress(JobExists):  # another process gave the number away
            await core.submit_all(translate.tickets(body, chosen, upload, place, core.settings.safety))
            return schemas.AddedAnswer(data=schemas.Added(uid=uid, created_at=record.iso(now)))


@router.get(
    "/api/v1/private/client/request/{uid}",
    summary="How far a request is",
    response_model=schemas.RequestAnswer,
    responses=failures(_400=BAD_TOKEN, _403=_NOT_YOURS, _404=_NO_REQUEST, _503=NO_STORAGE),
)
async def show_request(core: Core, state: State, client: Who, request: Request, uid: Uid) -> Response:
    """As often as one likes, for JOB_TTL of the server after its end."""
    return await asyncio.to_thread(_answer, core, state, client, uid, state.base(request))


def _answer(core: Service, state: BacklogState, client: Client, uid: str, base: str) -> Response:
    found = record.find(core, state, client, uid)
    response = ready_json(record.answer(found, state, base))
    response.headers["Cache-Control"] = "no-cache, no-store"
    return response


@router.delete(
    "/api/v1/private/client/request/{uid}",
    summary="Take a request back",
    response_model=schemas.RequestAnswer,
    responses=failures(_400=BAD_TOKEN, _403=_NOT_YOURS, _404=_NO_REQUEST, _503=NO_STORAGE, _507=NO_SPACE),
)
async def cancel_request(core: Core, state: State, client: Who, request: Request, uid: Uid) -> Response:
    """What is being drawn stops within a step; pictures that are finished stay."""
    found = await asyncio.to_thread(record.find, core, state, client, uid)
    for job_id in reversed(found.ticket.payload["jobs"]):
        with suppress(JobEnded, UnknownJob):
            await core.cancel(job_id)
    return await asyncio.to_thread(_answer, core, state, client, uid, state.base(request))


@router.get(
    "/uploads/ai/{name}",
    summary="A picture of a request",
    response_class=FileResponse,
    responses=of_files(failures(_404="No such picture, or no longer", _503=NO_STORAGE), "image/png"),
)
def show_picture(
    state: State, request: Request, name: Annotated[str, Path(description="The last part of its URL")]
) -> Response:
    """The URL is all it takes."""
    return file_answer(state.picture(name), request)


@router.head("/uploads/ai/{name}", include_in_schema=False)
def picture_head_of_request(state: State, request: Request, name: str) -> Response:
    return file_answer(state.picture(name), request)
