"""The seam between FastAPI and the dialects: a router whose every failure wears its dialect's face.

Whatever goes wrong inside a route (a field of the wrong type, bad JSON, an unknown job, a defect of ours)
becomes an `Error`, and the dialect's `face` turns that into the answer its clients expect.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as AnyHTTPException

from diffusionapi.api.validation import as_refusal
from diffusionapi.errors import BadJson, Error

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from starlette.types import Message

log = logging.getLogger(__name__)


class HttpProblem(Error):
    """What the framework refused, with the status it chose."""

    code = "http"

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.http_status = status


class InternalError(Error):
    """A defect of ours: the log has the story, the client a sentence."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("The server failed at this request; its log says why")


def status_of(error: Error) -> int:
    return error.http_status if isinstance(error, HttpProblem) else error.status


def dialect_router(face: Callable[[Error], Response], *, tags: list[str]) -> APIRouter:
    """A router for one dialect. JSON bodies are read as JSON whatever their content type says."""

    class DialectRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    return await handle(_json_body(request) if self.body_field else request)
                except Exception as error:  # noqa: BLE001 - every failure gets the dialect's face
                    return face(as_error(error))

            return guarded

    return APIRouter(route_class=DialectRoute, tags=list(tags))


def as_error(error: Exception) -> Error:
    """Any failure as one of ours."""
    match error:
        case Error():
            if error.status >= 500:
                log.error("%s", error.sentence)
            return error
        case RequestValidationError():
            return as_refusal(error.errors())
        case AnyHTTPException(status_code=400):
            # What the framework says of a body in the wrong encoding, or nested too deep.
            return BadJson("The body cannot be read; it must be JSON in UTF-8")
        case AnyHTTPException():
            return HttpProblem(error.status_code, str(error.detail))
        case _:
            log.error("unexpected failure", exc_info=error)
            return InternalError()


def _json_body(request: Request) -> Request:
    """The request with a body of bounded size, JSON whatever it is called: `curl -d` calls it a form."""
    limit: int = request.app.state.service.settings.max_body_mb
    headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
    scope = {**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > limit * 2**20:
            raise HTTPException(413, f"The body is larger than {limit} MiB (MAX_BODY_MB)")
        return message

    return Request(scope, receive)
