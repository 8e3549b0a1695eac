"""The routes that make a given picture larger."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Request, Response

from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3 import generation_examples as given
from diffusionapi.api.v3 import generation_schemas as schemas
from diffusionapi.api.v3 import translate
from diffusionapi.api.v3.caller import Sender, State  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3.face import UnknownModelId, failures, v3_router
from diffusionapi.api.v3.schemas import FailedAnswer, V3Refused
from diffusionapi.api.v3.submit import answer, check_webhook, submit
from diffusionapi.catalog.choosing import best_upscaler, picture_upscaler
from diffusionapi.core.work import UpscaleRequest
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from diffusionapi.api.v3.caller import Caller
    from diffusionapi.api.v3.state import V3State
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.service import Service

router = v3_router()

_UNUSED_QUALITY = 85
"""Of a JPEG; the pictures are PNGs."""
_ANSWERS: dict[str, Any] = {
    "summary": "A picture, larger",
    "response_model": schemas.Enlarged | schemas.Processing | FailedAnswer | V3Refused,
    "responses": failures(),
    "response_description": "The picture, or where to fetch it, or what is wrong",
}
Asked = Annotated[schemas.Enlargement, Body(openapi_examples=given.examples(given.ENLARGEMENT))]


@router.post("/api/v3/super_resolution", name="v3_super_resolution", **_ANSWERS)
@router.post("/api/v1/enterprise/super_resolution", name="v1_super_resolution", **_ANSWERS)
async def super_resolution(
    core: Core, state: State, caller: Sender, request: Request, body: Asked
) -> Response:
    """Its `output` is one URL, no list."""
    return await _enlarge(core, state, caller, request, body, single=True)


@router.post("/api/v6/image_editing/super_resolution", name="v6_super_resolution", **_ANSWERS)
async def super_resolution_listed(
    core: Core, state: State, caller: Sender, request: Request, body: Asked
) -> Response:
    """Its `output` is a list of one URL."""
    return await _enlarge(core, state, caller, request, body, single=False)


async def _enlarge(
    core: Service,
    state: V3State,
    caller: Caller,
    request: Request,
    body: schemas.Enlargement,
    *,
    single: bool,
) -> Response:
    check_webhook(body.webhook, core.settings)
    upscaler = await asyncio.to_thread(_upscaler, body, core.catalog)
    field = "url" if "url" in request.state.fields else "init_image"
    upload = await core.intake.picture(body.url, field, here=str(request.base_url))
    work = UpscaleRequest(upload, upscaler, body.scale, body.face_enhance, "png", _UNUSED_QUALITY)
    fetch = translate.CORE.fetch
    ticket = await submit(core, state, caller, request, body, [work], fetch=fetch, single=single)
    return await answer(core, state, request, ticket)


def _upscaler(body: schemas.Enlargement, catalog: Catalog) -> str:
    """By its name; the one that clients name by default stands for the best one that is installed."""
    if body.face_enhance and (problem := catalog.faces_missing()) is not None:
        raise BadRequest("face_enhance", problem)
    try:
        return picture_upscaler(catalog, body.model_id, "model_id")
    except BadRequest as unknown:
        if body.model_id == schemas.USUAL_UPSCALER:
            return best_upscaler(catalog)
        raise UnknownModelId(unknown.problem) from unknown
