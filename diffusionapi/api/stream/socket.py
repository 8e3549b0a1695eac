"""The socket of the streaming dialect: a key, a request, a frame for each step, the picture, the close."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from fastapi import APIRouter, Response, WebSocket, WebSocketDisconnect
from starlette.routing import Route

from diffusionapi.api.incoming import token_of
from diffusionapi.api.stream import closing, schemas, translate
from diffusionapi.api.stream.drawing import Drawing
from diffusionapi.api.stream.view import View
from diffusionapi.errors import NotAuthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from diffusionapi.api.stream.closing import Closing
    from diffusionapi.auth.keys import Keys
    from diffusionapi.service import Service

log = logging.getLogger(__name__)

_FIRST_MESSAGE = 60.0
"""Seconds that a client has for its request."""

router = APIRouter()
elsewhere = APIRouter()
"""To be included after every other socket: it takes all paths."""


@router.websocket("/generate")
async def generate(socket: WebSocket) -> None:
    # First of all: a client that is turned away during the handshake never sees the code.
    await socket.accept()
    core: Service = socket.app.state.service
    try:
        drawing, asked = await _asked(socket, core)
    except WebSocketDisconnect:
        return
    except Exception as error:  # noqa: BLE001 - every failure has its close code
        await _close(socket, closing.after(error))
        return
    view = View(asked.steps, core.settings.stream_preview_every)
    try:
        if await _show(socket, drawing, view, asked.echo()):
            with anyio.CancelScope(shield=True):
                await drawing.stop()
            await _close(socket, closing.after(view.error) if view.error else closing.DONE)
    finally:
        with anyio.CancelScope(shield=True):
            await drawing.stop()
            await drawing.forget()


async def _asked(socket: WebSocket, core: Service) -> tuple[Drawing, schemas.StreamRequest]:
    """What the client wants, and the job that was made of it."""
    keys: Keys = socket.app.state.keys
    if (key := token_of(socket)) is None:
        raise NotAuthenticated
    await asyncio.to_thread(keys.check, key)
    asked = schemas.read(await _first_message(socket), core.settings.max_side)
    drawing = Drawing(core, await asyncio.to_thread(translate.ticket, asked, core.catalog, core.settings))
    await drawing.submit()
    return drawing, asked


async def _first_message(socket: WebSocket) -> str | bytes:
    try:
        async with asyncio.timeout(_FIRST_MESSAGE):
            message = await socket.receive()
    except TimeoutError:
        raise closing.TooSlow(f"No request came within {_FIRST_MESSAGE:g} seconds") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    text: str | None = message.get("text")
    content: bytes = message.get("bytes") or b""
    return content if text is None else text


async def _show(socket: WebSocket, drawing: Drawing, view: View, echo: str) -> bool:
    """Follow the job and send what there is to see, to its end; whether the client is still there."""
    patience = socket.app.state.service.settings.stream_timeout
    async with anyio.create_task_group() as both:
        there = True

        async def until_its_end(work: Callable[[], Awaitable[None]]) -> None:
            nonlocal there
            try:
                await work()
            except (WebSocketDisconnect, TimeoutError):
                there = False
            except Exception as error:  # noqa: BLE001 - it has a close code
                view.fail(error)
            both.cancel_scope.cancel()

        async def send() -> None:
            await _send(socket, view, echo, patience)

        async def receive() -> None:
            await _until_gone(socket)

        both.start_soon(drawing.follow, view)
        both.start_soon(until_its_end, send)
        both.start_soon(until_its_end, receive)
    return there


async def _send(socket: WebSocket, view: View, echo: str, patience: float) -> None:
    """A frame for each step; to a client that is slow, the newest whenever it has taken the one before.

    TimeoutError when it takes nothing for so many seconds.
    """
    sent, slow = 0, False

    async def send(image: str, *, completed: bool = False) -> None:
        nonlocal slow
        text = schemas.frame(image, sent, echo, completed=completed)
        async with asyncio.timeout(patience):
            slow = await _had_to_wait(_say(socket, text))

    while not view.ended:
        await view.news()
        if sent == 0 and view.reached:
            await view.first_preview()
        while view.error is None and sent < (last := min(view.reached, view.steps - 1)):
            if slow and view.picture is not None:
                break
            sent = last if slow else sent + 1
            await send(view.image(sent))
    if view.picture is not None:
        sent = view.steps
        await send(view.picture, completed=True)


async def _say(socket: WebSocket, text: str) -> None:
    """WebSocketDisconnect, also when the server has let the client go since it answered no ping."""
    try:
        await socket.send_text(text)
    except RuntimeError as error:
        raise WebSocketDisconnect(1006) from error


async def _had_to_wait(sending: Awaitable[None]) -> bool:
    """Whether others got a turn before it was done: then there is more on its way than the client takes."""
    turn = asyncio.Event()
    asyncio.get_running_loop().call_soon(turn.set)
    await sending
    had_to = turn.is_set()
    await asyncio.sleep(0)
    return had_to


async def _until_gone(socket: WebSocket) -> None:
    """Whatever else a client says is let pass."""
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        pass
    raise WebSocketDisconnect(message.get("code", 1005))


async def _close(socket: WebSocket, how: Closing) -> None:
    service: Service = socket.app.state.service
    if how is not closing.DONE:
        log.info("socket closed with %d: %s", how.code, how.sentence)
    with suppress(WebSocketDisconnect, RuntimeError):  # it has gone, or was let go
        if service.settings.stream_error_frames and how is not closing.DONE:
            await socket.send_text(how.notice)
        await socket.close(how.code, how.reason)


@elsewhere.websocket("/{path:path}")
async def no_such_path(socket: WebSocket) -> None:
    await socket.accept()
    await _close(socket, closing.after(closing.NoSuchPath()))


class UpgradeRequired:
    """The answer to plain HTTP, by whatever method. A class, as routes of functions know one method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = closing.notice(426, "This is a WebSocket: connect with ws:// or wss://")
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        await Response(said, 426, headers, "application/json")(scope, receive, send)


router.routes.append(Route("/generate", UpgradeRequired(), include_in_schema=False))
