"""The seam between FastAPI and the dialects: a router whose every failure wears its dialect's face.

Whatever goes wrong inside a route (a field of the wrong type, bad JSON, an unknown job, a defect of ours)
becomes an `Error`, and the dialect's `face` turns that into the answer its clients expect.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as AnyHTTPException

from diffusionapi.api.heads import routes_of, told_by_get
from diffusionapi.api.validation import as_refusal
from diffusionapi.errors import BadJson, Error, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from starlette.routing import Match
    from starlette.types import Message, Scope

    Read = Callable[[Request], Awaitable[Request]]

log = logging.getLogger(__name__)

_WITH_BODY = ("POST", "PUT", "PATCH")


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


def dialect_router(
    face: Callable[[Error], Response],
    *,
    tags: list[str],
    read: Read | None = None,
    slashes: bool = False,
    heads: bool = True,
) -> APIRouter:
    """A router for one dialect. JSON bodies are read as JSON whatever their content type says.

    A dialect whose bodies have other forms, too, makes JSON of them by `read`. With `slashes` a path may end
    in one, and is not redirected: many a client loses its body on that way. Without `heads` a GET does
    something, and so HEAD is refused.
    """

    class DialectRoute(APIRoute):
        dialect_face = staticmethod(face)
        answers_head = heads

        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            if slashes and scope["type"] == "http" and scope["path"].endswith("/"):
                scope = {**scope, "path": scope["path"].rstrip("/")}
            return super().matches(scope)

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    if request.method in _WITH_BODY:
                        bounded = _bounded(request, self)
                        request = await read(bounded) if read else _called_json(bounded, self)
                    return await handle(request)
                except StorageUnavailable as error:
                    request.app.state.service.complain(error)
                    return face(error)
                except Exception as error:  # noqa: BLE001 - every failure gets the dialect's face
                    return face(as_error(error))

            return guarded

    return APIRouter(route_class=DialectRoute, tags=list(tags))


def as_error(error: Exception) -> Error:
    """Any failure as one of ours. Those of the storage come by the hundred, and are told once, elsewhere."""
    match error:
        case Error():
            if status_of(error) >= 500 and not isinstance(error, StorageUnavailable):
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


def of_path(request: Request) -> tuple[Callable[[Error], Response] | None, list[str]]:
    """The face of the dialect that a path belongs to, and the methods that are allowed on it.

    For what never reached a route: on one path the methods may be those of several dialects.
    """
    found = routes_of(request.scope)
    faces = (getattr(one.original_route, "dialect_face", None) for one in found)
    methods = {method for one in found for method in one.methods or ()}
    if told_by_get(found):
        methods.add("HEAD")
    return next(filter(None, faces), None), sorted(methods)


def _has_a_form(route: APIRoute) -> bool:
    return route.body_field is not None and isinstance(route.body_field.field_info, Form)


def _called_json(request: Request, route: APIRoute) -> Request:
    """The request with a body that is JSON whatever it is called: `curl -d` calls it a form."""
    if route.body_field is None or _has_a_form(route):
        return request
    return Request(as_json_headers(request.scope), request.receive)


def as_json_headers(scope: Scope) -> Scope:
    headers = [pair for pair in scope["headers"] if pair[0] not in (b"content-type", b"content-length")]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


def _bounded(request: Request, route: APIRoute) -> Request:
    """The request with a body of bounded size."""
    settings = request.app.state.service.settings
    limit: int = settings.max_body_mb
    if _has_a_form(route):
        # A file, and what goes around it.
        limit = max(limit, settings.max_upload_mb + 1)
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > limit * 2**20:
            raise HTTPException(413, f"The body is larger than {limit} MiB (MAX_BODY_MB)")
        return message

    return Request(request.scope, receive)
