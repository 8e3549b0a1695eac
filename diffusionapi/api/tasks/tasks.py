"""The routes of tasks that are followed: submit, look, cancel, and the socket of their events."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

import anyio
from fastapi import Body, Path, Request, Response, WebSocket, WebSocketDisconnect

from diffusionapi.api.answers import ready_json
from diffusionapi.api.incoming import Core, token_of
from diffusionapi.api.tasks import events, schemas
from diffusionapi.api.tasks.caller import State, Who, bearer
from diffusionapi.api.tasks.face import (
    BAD_PARAMETERS,
    FULL,
    NO_SPACE,
    NO_STORAGE,
    NO_TASK,
    NO_TOKEN,
    TOO_LARGE,
    face,
    failures,
    tasks_router,
)
from diffusionapi.api.tasks.submit import submit
from diffusionapi.core.job import JobState
from diffusionapi.errors import JobEnded, NotAuthenticated, StorageUnavailable, UnknownJob

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from diffusionapi.api.tasks.caller import Caller
    from diffusionapi.api.tasks.feed import Subscription
    from diffusionapi.api.tasks.state import TaskState
    from diffusionapi.core.job import Ticket
    from diffusionapi.service import Service

router = tasks_router()

SAFETY_HEADER = "X-Safety-Checked"
TaskId = Annotated[str, Path(description="As `POST /task` gave it")]


@router.post(
    "/task",
    summary="Submit a task",
    response_description="The task's id",
    responses=failures(
        _401=NO_TOKEN, _413=TOO_LARGE, _422=BAD_PARAMETERS, _429=FULL, _503=NO_STORAGE, _507=NO_SPACE
    ),
)
async def create_task(
    core: Core,
    state: State,
    caller: Who,
    request: Request,
    params: Annotated[
        schemas.AnyParams,
        Body(
            openapi_examples={
                "txt2img": {"summary": "From words", "value": schemas.TXT2IMG_EXAMPLE},
                "img2img": {"summary": "From a picture", "value": schemas.IMG2IMG_EXAMPLE},
                "inpaint": {"summary": "A part of a picture", "value": schemas.INPAINT_EXAMPLE},
            }
        ),
    ],
) -> str:
    """Follow it at `GET /task/{task_id}`, or on the socket `/events?token=` of the same token."""
    ticket = await submit(core, state, params, caller, request, "body")
    return ticket.id


async def _own_task(core: Service, caller: Caller, task_id: str) -> Ticket:
    """A task of this caller, by whichever token; UnknownJob for all others."""
    if not await core.belongs(task_id, events.DIALECT):
        raise UnknownJob(task_id)
    ticket = await core.ticket(task_id)
    if ticket.payload["username"] != caller.name:
        raise UnknownJob(task_id)
    return ticket


@router.get(
    "/task/{task_id}",
    summary="The latest event of a task",
    response_model=schemas.TaskEvent,
    responses=failures(_401=NO_TOKEN, _404=NO_TASK, _422=BAD_PARAMETERS, _503=NO_STORAGE),
)
async def get_task(core: Core, state: State, caller: Who, request: Request, task_id: TaskId) -> Response:
    ticket = await _own_task(core, caller, task_id)
    progress, base = await core.look(task_id), state.links.base(request)
    response = ready_json(events.latest(ticket, progress, lambda name: state.links.url(base, name)))
    response.headers["Cache-Control"] = "no-cache, no-store"
    if progress.state is JobState.DONE:
        response.headers[SAFETY_HEADER] = str(events.is_checked(progress)).lower()
    return response


@router.delete(
    "/task/{task_id}",
    status_code=204,
    summary="Cancel a task",
    response_description="It is cancelled, or had ended already",
    responses=failures(_401=NO_TOKEN, _404=NO_TASK, _422=BAD_PARAMETERS, _503=NO_STORAGE, _507=NO_SPACE),
)
async def delete_task(core: Core, caller: Who, task_id: TaskId) -> None:
    """A running one stops within a step."""
    await _own_task(core, caller, task_id)
    with suppress(JobEnded):
        await core.cancel(task_id)


@router.websocket("/events")
async def task_events(socket: WebSocket, encoding: str = "") -> None:
    """The events of all tasks that were submitted with the very same token, from now on."""
    state: TaskState = socket.app.state.tasks
    token = token_of(socket)
    if token is None:
        return await socket.close(1008, "Missing token")
    try:
        caller = await bearer(state, token)
        assert caller.session is not None
        subscription = await state.feed.listen(caller.session)
    except NotAuthenticated:
        return await socket.close(1008, "Invalid token")
    except StorageUnavailable as error:
        return await _come_again(socket, error)
    try:
        # Only now: a client that is let in hears of whatever it submits next.
        await socket.accept()
        await _serve(socket, state, subscription, doubly=encoding != "object")
    finally:
        state.feed.leave(subscription)
    return None


async def _come_again(socket: WebSocket, error: StorageUnavailable) -> None:
    """Nobody could look whether the token is good, so it is not the 403 of a wrong one."""
    socket.app.state.service.complain(error)
    if "websocket.http.response" in socket.scope.get("extensions", {}):
        return await socket.send_denial_response(face(error))
    await socket.accept()  # else this server could say nothing but 403
    return await socket.close(1013, error.sentence)


async def _serve(socket: WebSocket, state: TaskState, subscription: Subscription, *, doubly: bool) -> None:
    """Send what happens until there is no more of it, or nobody is there any more."""
    async with anyio.create_task_group() as both:

        async def until_its_end(work: Callable[[], Awaitable[None]]) -> None:
            await work()
            both.cancel_scope.cancel()

        both.start_soon(until_its_end, partial(_send, socket, state, subscription, doubly=doubly))
        both.start_soon(until_its_end, partial(_until_gone, socket))


async def _send(socket: WebSocket, state: TaskState, subscription: Subscription, *, doubly: bool) -> None:
    base = state.links.base(socket)
    with suppress(WebSocketDisconnect):
        while (told := await subscription.events.get()) is not None:
            one = events.event(*told, lambda name: state.links.url(base, name))
            await socket.send_text(events.frame(one, doubly=doubly))
        if subscription.overrun:
            await socket.close(1013, "Events were not read in time")
        else:
            await socket.close(1012, "The server is stopping")


async def _until_gone(socket: WebSocket) -> None:
    """Whatever a client says is let pass."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
