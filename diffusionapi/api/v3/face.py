"""How failures look in the v3 dialect: a body with a `status` of its own, and HTTP's is 200."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Response

from diffusionapi.api.answers import ready_json, when_to_retry
from diffusionapi.api.dialect import HttpProblem, InternalError, dialect_router, status_of
from diffusionapi.api.v3 import body
from diffusionapi.api.v3.schemas import FailedAnswer, V3Refused
from diffusionapi.api.v3.wording import sentences
from diffusionapi.api.validation import Refusal
from diffusionapi.errors import (
    BadJson,
    BadRequest,
    Error,
    NotAuthenticated,
    NotFetched,
    PictureGone,
    QueueFull,
    TooManyRepeats,
    TooManyRequests,
    UnknownJob,
    UnknownName,
    UnknownPicture,
)

if TYPE_CHECKING:
    from fastapi import APIRouter
    from pydantic import BaseModel
    from starlette.types import Receive, Scope, Send

NOT_FOUND = "Not found"
NO_REQUEST = "Request not found"
NO_MODEL = "Model id not found"
NO_PICTURE = "Unable to fetch image from provided URL"
_KINDS = {
    "LoRA": "Lora model not found",
    "textual inversion": "Embeddings model not found",
    "ControlNet": "Controlnet model not found",
    "VAE": "Vae model not found",
}
"""What is named -> what is said of a name that nothing installed has."""
_OFTEN = (
    "you are sending same request multiple times, spam filter is enabled, "
    "please wait for 30 seconds and try again"
)
_KEY = (
    "1. Make sure you are passing Content-Type: application/json in header. "
    "2. Make sure you are doing POST request with valid JSON. "
    "3. Make sure your JSON does not have error, use jsonlint to validate json array. "
    "4. Make sure you have valid API key."
)


class UnknownModelId(BadRequest):
    """No model is named, or one that is not there; `tip` says which one was meant perhaps."""

    code = "unknown_model_id"

    def __init__(self, tip: str | None = None) -> None:
        super().__init__("model_id", "names no model that is installed")
        self.tip = tip


class NotDone(Error):
    """What cannot be done to a training or a picture: it is too late for that, or too early."""

    code = "not_done"
    status = 409


class NotThere(NotDone):
    """… because there is no such training or picture."""

    code = "not_there"
    status = 404


class Answer(Response):
    """Of status 200, as clients of this API expect of every answer, unless V3_ERROR_STATUSES."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["app"].state.service.settings.v3_error_statuses:
            self.status_code = 200
        await super().__call__(scope, receive, send)


def face(error: Error) -> Response:
    status = status_of(error)
    if isinstance(error, HttpProblem) and status in (404, 405):  # there is nothing there that could answer
        return ready_json(
            V3Refused(status="error", message=NOT_FOUND if status == 404 else error.sentence), status
        )
    if isinstance(error, UnknownPicture):
        return ready_json(V3Refused(status="error", message=NOT_FOUND), 404)
    return when_to_retry(_answer(_body(error), status), error)


def _answer(said: BaseModel, status: int) -> Response:
    return Answer(said.model_dump_json(), status, media_type="application/json")


def _body(error: Error) -> BaseModel:
    match error:
        case BadRequest():
            return _wrong(error)
        case BadJson() | NotAuthenticated():
            return _refused("Invalid Api Key", tip=_KEY)
        case TooManyRepeats():
            return _refused("Rate limit exceeded", tips=_OFTEN)
        case TooManyRequests() | QueueFull():
            return _refused("Rate limit exceeded", tips=error.sentence)
        case NotDone():
            return V3Refused(status="error", message=error.sentence, messege=error.sentence)
        case HttpProblem():
            return _refused(error.sentence)
        case UnknownJob():
            return FailedAnswer(message=NO_REQUEST)
        case InternalError():
            return FailedAnswer()
    return FailedAnswer(tip=error.sentence)


def _wrong(error: BadRequest) -> V3Refused:
    match error:
        case Refusal():
            return _refused(sentences(error.problems))
        case UnknownModelId():
            return _refused(NO_MODEL, tip=error.tip)
        case UnknownName(kind="model"):
            return _refused(NO_MODEL, tip=error.problem)
        case UnknownName() if error.kind in _KINDS:
            return _refused(f"{_KINDS[error.kind]}: {error.name}", tip=error.problem)
        case NotFetched() | PictureGone():
            return _refused(NO_PICTURE, tip=error.sentence)
    field = error.field.replace("_", " ")
    end = "" if error.problem.endswith("?") else "."
    return _refused({error.field: [f"The {field} is not right: {error.problem}{end}"]})


def _refused(
    message: str | dict[str, list[str]], *, tip: str | None = None, tips: str | None = None
) -> V3Refused:
    return V3Refused(status="error", message=message, tip=tip, tips=tips)


def v3_router() -> APIRouter:
    """Routes take a V3Model for their body as the framework does, whatever form it comes in."""
    return dialect_router(face, tags=["v3"], read=body.read, slashes=True)


def failures() -> dict[int | str, dict[str, Any]]:
    """The error answers of a route for the documentation."""
    of_the_request = "With V3_ERROR_STATUSES: something is wrong with the request, or it is not its time yet"
    of_the_server = "With V3_ERROR_STATUSES: something is wrong with the server; its log says what"
    return {
        status: {"model": FailedAnswer | V3Refused, "description": said}
        for status, said in (("4XX", of_the_request), ("5XX", of_the_server))
    }
