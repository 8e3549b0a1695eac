"""How failures look in the primary dialect: in its answers, and in the document that describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request, Response

from diffusionapi.api.answers import ready_json
from diffusionapi.api.dialect import status_of
from diffusionapi.api.primary import schemas
from diffusionapi.errors import QueueFull, UnknownJob
from diffusionapi.service import Service

if TYPE_CHECKING:
    from diffusionapi.errors import Error

NO_JOB = "No such job: it never was, or its final answer was fetched"
NO_STORAGE = "The queue cannot be reached"
BAD_PARAMETER = "A parameter is wrong; the sentence names it"


def face(error: Error) -> Response:
    """Any failure as the primary dialect says it: `error` and `detail` hold the same sentence."""
    body = schemas.ErrorResponse(error=error.sentence, detail=error.sentence)
    if isinstance(error, UnknownJob):
        body = schemas.UnknownJobResponse(**body.model_dump(), job_id=error.job_id)
    response = ready_json(body, status_of(error))
    if isinstance(error, QueueFull):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


# Dependencies are coroutines: FastAPI would send plain functions through its threads, at twice a poll's cost.


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Core = Annotated[Service, Depends(_service)]


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


def as_json(failures: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """The same for a route whose success is no JSON: FastAPI would give failures its media type."""
    return {
        status: {
            "description": one["description"],
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{one['model'].__name__}"}}
            },
        }
        for status, one in failures.items()
    }
