"""How failures look in the backlog dialect: `data` is null, and a sentence says why, under two names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusionapi.api.answers import ready_json, when_to_retry
from diffusionapi.api.backlog import schemas
from diffusionapi.api.dialect import dialect_router, status_of
from diffusionapi.errors import (
    BadRequest,
    NotAuthenticated,
    QueueFull,
    UnknownJob,
    UnknownPicture,
)

if TYPE_CHECKING:
    from fastapi import APIRouter, Response

    from diffusionapi.errors import Error

NO_ENGINE = "Could not find AI engine"
NOT_YOURS = "Not your request, access denied"
NO_DEMO = "Demo login is disabled"

BAD_REQUEST = "No client token, or a field is wrong; the sentence names it"
BAD_TOKEN = "The authToken is missing, wrong or expired"  # noqa: S105 - a sentence
FULL = "The queue is full; `Retry-After` says when to try again"
NO_STORAGE = "The queue cannot be reached"
NO_SPACE = "No space is left"
TOO_LARGE = "The body is too large"


def face(error: Error) -> Response:
    match error:
        case QueueFull():
            status, sentence = 409, "Could not add to backlog"
        case NotAuthenticated():
            status, sentence = 400, "A client token is required"
        case UnknownJob():
            status, sentence = 404, "Could not find request"
        case UnknownPicture():
            status, sentence = 404, "Could not find file"
        case BadRequest():
            status, sentence = 400, error.sentence
        case _:
            status, sentence = status_of(error), error.sentence
    body = schemas.BacklogRefused(status=status, statusText=sentence, message=sentence)
    return when_to_retry(ready_json(body, status), error)


def backlog_router() -> APIRouter:
    return dialect_router(face, tags=["backlog"])


def failures(**meanings: str) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route for the documentation: `_404="…"`."""
    meanings.setdefault("_500", "The server failed; its log says why")
    # Without it the framework would document a 422 of its own, which is never answered.
    meanings["_4XX"] = "The request is wrong; the sentence says how"
    found: dict[int | str, dict[str, Any]] = {}
    for name, meaning in meanings.items():
        status = name.removeprefix("_")
        found[int(status) if status.isdecimal() else status] = {
            "model": schemas.BacklogRefused,
            "description": meaning,
        }
    return found
