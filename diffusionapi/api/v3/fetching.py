"""The routes that tell what has become of a request, and its pictures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Path, Request, Response
from fastapi.responses import FileResponse

from diffusionapi.api.answers import file_answer, of_files, ready_json
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3 import generation_schemas as schemas
from diffusionapi.api.v3 import telling
from diffusionapi.api.v3.caller import Asker, State  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3.face import failures, v3_router
from diffusionapi.api.v3.fields import KeyOnly  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3.schemas import FailedAnswer, V3Refused

if TYPE_CHECKING:
    from diffusionapi.api.v3.caller import Caller
    from diffusionapi.api.v3.state import V3State
    from diffusionapi.service import Service

router = v3_router()

_ANSWERS: dict[str, Any] = {
    "summary": "What has become of a request",
    "response_model": schemas.Fetched | schemas.NotYet | FailedAnswer | V3Refused,
    "responses": failures(),
    "response_description": "The pictures, or that there are none yet, or never will be",
}
_KEY_EXAMPLE = {"key": {"summary": "A key", "value": {"key": "5f0c4d1e…"}}}
_ID_EXAMPLE = {"one": {"summary": "A request", "value": {"key": "5f0c4d1e…", "request_id": "102"}}}


@router.post("/api/v3/fetch/{request_id}", name="v3_fetch", **_ANSWERS)
@router.post("/api/v3/dreambooth/fetch/{request_id}", name="v3_dreambooth_fetch", **_ANSWERS)
async def fetch(
    core: Core,
    state: State,
    caller: Asker,
    request_id: Annotated[str, Path(description="The `id` of an earlier answer")],
    body: Annotated[KeyOnly, Body(openapi_examples=_KEY_EXAMPLE)],
) -> Response:
    """As often as one likes, for JOB_TTL of the server after its end."""
    del body
    return await asyncio.to_thread(_fetched, core, state, caller, request_id)


@router.post("/api/v4/dreambooth/fetch", name="v4_dreambooth_fetch", **_ANSWERS)
async def fetch_by_id(
    core: Core,
    state: State,
    caller: Asker,
    body: Annotated[schemas.FetchById, Body(openapi_examples=_ID_EXAMPLE)],
) -> Response:
    """As often as one likes, for JOB_TTL of the server after its end."""
    return await asyncio.to_thread(_fetched, core, state, caller, body.request_id)


def _fetched(core: Service, state: V3State, caller: Caller, number: str | int) -> Response:
    made = telling.find(core, state, caller.name, number)
    response = ready_json(telling.fetched(core, state, made))
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get(
    "/generations/{name}",
    name="v3_picture",
    summary="A picture of a request",
    response_class=FileResponse,
    responses=of_files(
        {"4XX": {"model": V3Refused, "description": "No such picture, or no longer"}}, "image/png"
    ),
)
def show_generation(
    state: State, request: Request, name: Annotated[str, Path(description="The last part of its URL")]
) -> Response:
    """The URL is all it takes."""
    return file_answer(state.picture(name), request)


@router.head("/generations/{name}", include_in_schema=False)
def generation_head(state: State, request: Request, name: str) -> Response:
    return file_answer(state.picture(name), request)
