"""The routes that answer with the picture: a task like all others, which ends with its connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import HTTPException, Query, Request, Response

from diffusionapi.api.answers import ready_json
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.tasks import events, schemas
from diffusionapi.api.tasks.caller import State, Who  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.tasks.face import BAD_PARAMETERS, FULL, NO_SPACE, NO_TOKEN, failures, tasks_router
from diffusionapi.api.tasks.submit import submit
from diffusionapi.api.tasks.tasks import SAFETY_HEADER
from diffusionapi.errors import JobEnded, UnknownJob

if TYPE_CHECKING:
    from diffusionapi.api.tasks.caller import Caller
    from diffusionapi.api.tasks.state import TaskState
    from diffusionapi.api.tasks.translate import Params
    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.service import Service

router = tasks_router(heads=False)

_LOOK = 0.04
"""Seconds between two looks at the job and at the connection."""
_GONE = 499
"""nginx's number for a client that has hung up; nobody reads it."""

_ANSWERS: dict[str, Any] = {
    "response_model": schemas.GeneratedBlob,
    "responses": failures(
        _401=NO_TOKEN,
        _422=BAD_PARAMETERS,
        _429=FULL,
        _500="The task was aborted; `detail` is the reason",
        _503="The queue cannot be reached, or the server stops",
        _507=NO_SPACE,
    ),
}


@router.get("/txt2img", summary="A picture from words, now", **_ANSWERS)
async def txt2img_now(
    core: Core,
    state: State,
    caller: Who,
    request: Request,
    params: Annotated[schemas.Txt2ImgQuery, Query()],
) -> Response:
    """Waits for the end. Hanging up cancels the task."""
    return await _generate(core, state, caller, request, params)


@router.get("/img2img", summary="A picture from a picture, now", **_ANSWERS)
async def img2img_now(
    core: Core,
    state: State,
    caller: Who,
    request: Request,
    params: Annotated[schemas.Img2ImgQuery, Query()],
) -> Response:
    """Waits for the end. Hanging up cancels the task."""
    return await _generate(core, state, caller, request, params)


@router.get("/inpaint", summary="A part of a picture painted anew, now", **_ANSWERS)
async def inpaint_now(
    core: Core,
    state: State,
    caller: Who,
    request: Request,
    params: Annotated[schemas.InpaintQuery, Query()],
) -> Response:
    """Waits for the end. Hanging up cancels the task."""
    return await _generate(core, state, caller, request, params)


async def _generate(
    core: Service, state: TaskState, caller: Caller, request: Request, params: Params
) -> Response:
    ticket = await submit(core, state, params, caller, request, "query")
    base = state.links.base(request)
    progress = await _end(core, request, ticket)
    if (reason := events.abort_reason(ticket, progress)) is not None:
        raise HTTPException(500, reason)
    response = ready_json(events.result(ticket, progress, lambda name: state.links.url(base, name)))
    response.headers["Cache-Control"] = "no-store"
    response.headers[SAFETY_HEADER] = str(events.is_checked(progress)).lower()
    return response


async def _end(core: Service, request: Request, ticket: Ticket) -> Progress:
    """The progress of a task when it has ended. However this one is left otherwise, the task is cancelled."""
    ended = False
    try:
        while True:
            progress = await core.look(ticket.id)
            if progress.state.ended:
                ended = True
                return progress
            if await request.is_disconnected():
                raise HTTPException(_GONE, "Client disconnected")
            if core.closing:
                raise HTTPException(503, "The server is stopping")
            await asyncio.sleep(_LOOK)
    finally:
        if not ended:
            with suppress(JobEnded, UnknownJob):
                await asyncio.shield(core.cancel(ticket.id))
