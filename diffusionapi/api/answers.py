"""Answers that several dialects send: ready JSON, an answer that is delivered or not, files, events."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from diffusionapi.api.ranges import content_answer
from diffusionapi.errors import (
    Error,
    QueueFull,
    StorageUnavailable,
    TooManyAttempts,
    TooManyRepeats,
    TooManyRequests,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel
    from starlette.types import Receive, Scope, Send

    from diffusionapi.blobs.named import Kept

log = logging.getLogger(__name__)

_CHUNK = 64 * 1024
_MOMENT = 0.005
"""Seconds for a hang-up that is under way to reach us."""


def ready_json(model: BaseModel, status: int = 200) -> Response:
    """A model as JSON, past FastAPI's encoder, which takes longer than all else in a poll's answer."""
    return Response(model.model_dump_json(), status, media_type="application/json")


def when_to_retry(response: Response, error: Error) -> Response:
    """Of what will be otherwise in a while, the answer says when."""
    passing = QueueFull | StorageUnavailable | TooManyAttempts | TooManyRepeats | TooManyRequests
    if isinstance(error, passing) and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def as_json(failures: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """Error answers of a route whose success is no JSON: FastAPI would give them its media type."""
    return {
        status: {
            "description": one["description"],
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{one['model'].__name__}"}}
            },
        }
        for status, one in failures.items()
    }


def of_files(failures: dict[int | str, dict[str, Any]], *types: str) -> dict[int | str, dict[str, Any]]:
    """What a route answers that gives files of these types by `file_answer`."""
    content = {one: {"schema": {"type": "string", "format": "binary"}} for one in types}
    return {
        **as_json(failures),
        200: {"content": content, "description": "The file"},
        206: {"content": content, "description": "The range that was asked for"},
        304: {"description": "The client has it already"},
        307: {"description": "The bucket that has it, by a link that is signed (with BLOB_LINKS)"},
        416: {"content": {"text/plain": {}}, "description": "The range lies outside the file"},
    }


class DeliveredResponse(Response):
    """Calls `delivered` when the client has taken the whole body but its last bytes, and then sends those.

    So a client that holds the complete answer can rely on what `delivered` did, and one that hung up before
    has used up nothing.
    """

    def __init__(self, content: bytes, delivered: Callable[[], Awaitable[None]]) -> None:
        super().__init__(content, media_type="application/json", headers={"Cache-Control": "no-store"})
        self._delivered = delivered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = Request(scope, receive)
        body = bytes(self.body)
        last = max(0, len(body) - 1)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, last, _CHUNK):
            chunk = body[start : min(start + _CHUNK, last)]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if await client.is_disconnected():
                return
        await anyio.sleep(_MOMENT)
        if await client.is_disconnected():
            return
        try:
            await self._delivered()
        except Error as error:
            log.warning("after an answer: %s", error.sentence)
        await send({"type": "http.response.body", "body": body[last:]})


def file_answer(picture: Kept, request: Request) -> Response:
    """A file that never changes: ranges, ETag, 304; or the way to the place that has it."""
    if path := picture.path:
        static = StaticFiles(directory=path.parent, check_dir=False)
        response = static.file_response(path, path.stat(), request.scope)
    elif url := picture.url("HEAD" if request.method == "HEAD" else "GET"):
        return RedirectResponse(url, headers={"Cache-Control": "no-store"})
    else:
        response = content_answer(picture.read(), picture.name, request)
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
