"""How failures look in the task dialect: `{"detail": …}`, a sentence, or a list where values are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusionapi.api.answers import ready_json, when_to_retry
from diffusionapi.api.dialect import dialect_router, status_of
from diffusionapi.api.tasks import schemas
from diffusionapi.api.validation import Refusal, UnreadableJson
from diffusionapi.errors import (
    BadJson,
    BadRequest,
    NotAuthenticated,
    UnknownJob,
    UnknownPicture,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import APIRouter, Response

    from diffusionapi.errors import Error

BAD_PARAMETERS = "A parameter is wrong"
NO_TOKEN = "The token is missing, wrong or expired"  # noqa: S105 - a sentence
NO_STORAGE = "The queue cannot be reached"
NO_TASK = "No such task, or somebody else's"
FULL = "The queue is full; `Retry-After` says when to try again"
TOO_LARGE = "The body is too large"
NO_SPACE = "No space is left"
_KINDS = ("txt2img", "img2img", "inpaint")


def face(error: Error) -> Response:
    match error:
        case Refusal() | UnreadableJson():
            return ready_json(schemas.Invalid(detail=list(_problems(error.problems))), 422)
        case BadRequest():
            problem = schemas.Problem(loc=["body", error.field], msg=error.problem, type="value_error")
            return ready_json(schemas.Invalid(detail=[problem]), 422)
        case BadJson():
            problem = schemas.Problem(loc=["body"], msg=error.sentence, type="json_invalid")
            return ready_json(schemas.Invalid(detail=[problem]), 422)
        case UnknownJob():
            return _answer("Task not found", 404)
        case UnknownPicture():
            return _answer("Blob not found", 404)
    response = _answer(error.sentence, status_of(error))
    if isinstance(error, NotAuthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return when_to_retry(response, error)


def _answer(sentence: str, status: int) -> Response:
    return ready_json(schemas.Refused(detail=sentence), status)


def _problems(found: Iterable[Any]) -> Iterable[schemas.Problem]:
    """Without the values that were wrong: one may be a password."""
    for one in found:
        place = list(one["loc"])
        if place[0] == "body" and len(place) > 1 and place[1] in _KINDS:
            del place[1]  # which of the three kinds of parameters it was taken for
        yield schemas.Problem(loc=place, msg=one["msg"], type=one["type"])


def refusal(error: BadRequest, place: str) -> Refusal:
    """A refusal by what is installed, as if the framework had found it at this place of the request."""
    problem = {"loc": (place, error.field), "msg": error.problem, "type": "value_error"}
    return Refusal(error.field, error.problem, [problem])


def missing(place: str, *fields: str) -> Refusal:
    problems = [{"loc": (place, one), "msg": "Field required", "type": "missing"} for one in fields]
    return Refusal(fields[0], "is required", problems)


def tasks_router(*, heads: bool = True) -> APIRouter:
    return dialect_router(face, tags=["tasks"], heads=heads)


def failures(**meanings: str) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route for the documentation: `_404="…"`."""
    meanings.setdefault("_500", "The server failed; its log says why")
    return {
        int(status.removeprefix("_")): {
            "model": schemas.Invalid if status == "_422" else schemas.Refused,
            "description": meaning,
        }
        for status, meaning in meanings.items()
    }
