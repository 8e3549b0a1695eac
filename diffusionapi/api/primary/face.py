"""How failures look in the primary dialect: in its answers, and in the document that describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusionapi.api.answers import ready_json, when_to_retry
from diffusionapi.api.dialect import status_of
from diffusionapi.api.primary import schemas
from diffusionapi.errors import UnknownJob

if TYPE_CHECKING:
    from fastapi import Response

    from diffusionapi.errors import Error

NO_JOB = "No such job: it never was, or its final answer was fetched"
NO_STORAGE = "The queue cannot be reached"
BAD_PARAMETER = "A parameter is wrong; the sentence names it"


def face(error: Error) -> Response:
    """Any failure as the primary dialect says it: `error` and `detail` hold the same sentence."""
    body = schemas.ErrorResponse(error=error.sentence, detail=error.sentence)
    if isinstance(error, UnknownJob):
        body = schemas.UnknownJobResponse(**body.model_dump(), job_id=error.job_id)
    return when_to_retry(ready_json(body, status_of(error)), error)


def failures(**meanings: str) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route for the documentation: `_422="…"`."""
    meanings.setdefault("_500", "The server failed; its log says why")
    return {
        int(status.removeprefix("_")): {
            "model": schemas.UnknownJobResponse if meaning == NO_JOB else schemas.ErrorResponse,
            "description": meaning,
        }
        for status, meaning in meanings.items()
    }
