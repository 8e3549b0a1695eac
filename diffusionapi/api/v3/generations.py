"""The routes that make pictures: from words, from a picture, into a part of one, held to one."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Request, Response

from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3 import generation_examples as given
from diffusionapi.api.v3 import generation_schemas as schemas
from diffusionapi.api.v3 import translate
from diffusionapi.api.v3.beginning import beginning
from diffusionapi.api.v3.caller import Sender, State  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3.face import failures, v3_router
from diffusionapi.api.v3.meta import meta
from diffusionapi.api.v3.schemas import FailedAnswer, V3Refused
from diffusionapi.api.v3.submit import answer, check_webhook, submit

if TYPE_CHECKING:
    from diffusionapi.api.v3.caller import Caller
    from diffusionapi.api.v3.state import V3State
    from diffusionapi.api.v3.translate import Route
    from diffusionapi.service import Service

router = v3_router()

_ANSWERS: dict[str, Any] = {
    "response_model": schemas.Generated | schemas.Processing | FailedAnswer | V3Refused,
    "responses": failures(),
    "response_description": "The pictures, or where to fetch them, or what is wrong",
}


@router.post("/api/v3/text2img", name="v3_text2img", summary="Pictures from words", **_ANSWERS)
async def text2img(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[schemas.Text2Img, Body(openapi_examples=given.examples(given.TEXT2IMG))],
) -> Response:
    """Waits for the pictures V3_WAIT seconds, then says where to fetch them."""
    return await _generate(core, state, caller, request, body, translate.CORE)


@router.post("/api/v3/img2img", name="v3_img2img", summary="Pictures from a picture", **_ANSWERS)
async def img2img(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[schemas.Img2Img, Body(openapi_examples=given.examples(given.IMG2IMG))],
) -> Response:
    """The picture is cut and scaled to width and height."""
    return await _generate(core, state, caller, request, body, translate.CORE)


@router.post("/api/v3/inpaint", name="v3_inpaint", summary="A part of a picture painted anew", **_ANSWERS)
async def inpaint(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[schemas.Inpaint, Body(openapi_examples=given.examples(given.INPAINT))],
) -> Response:
    """White in the mask is painted anew, black stays as it is."""
    return await _generate(core, state, caller, request, body, translate.INPAINT)


@router.post(
    "/api/v3/dreambooth", name="v3_dreambooth", summary="Pictures from words, by a model", **_ANSWERS
)
@router.post(
    "/api/v4/dreambooth", name="v4_dreambooth", summary="Pictures from words, by a model", **_ANSWERS
)
async def dreambooth(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[
        schemas.Text2Img, Body(openapi_examples=given.examples(given.of_community(given.TEXT2IMG)))
    ],
) -> Response:
    """Needs a `model_id`."""
    return await _generate(core, state, caller, request, body, translate.COMMUNITY)


@router.post(
    "/api/v3/dreambooth/img2img",
    name="v3_dreambooth_img2img",
    summary="Pictures from a picture, by a model",
    **_ANSWERS,
)
@router.post(
    "/api/v4/dreambooth/img2img",
    name="v4_dreambooth_img2img",
    summary="Pictures from a picture, by a model",
    **_ANSWERS,
)
async def dreambooth_img2img(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[
        schemas.Img2Img, Body(openapi_examples=given.examples(given.of_community(given.IMG2IMG)))
    ],
) -> Response:
    """Needs a `model_id`."""
    return await _generate(core, state, caller, request, body, translate.COMMUNITY)


@router.post(
    "/api/v3/dreambooth/inpaint",
    name="v3_dreambooth_inpaint",
    summary="A part of a picture painted anew, by a model",
    **_ANSWERS,
)
@router.post(
    "/api/v4/dreambooth/inpaint",
    name="v4_dreambooth_inpaint",
    summary="A part of a picture painted anew, by a model",
    **_ANSWERS,
)
async def dreambooth_inpaint(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[
        schemas.Inpaint, Body(openapi_examples=given.examples(given.of_community(given.INPAINT)))
    ],
) -> Response:
    """Needs a `model_id`."""
    return await _generate(core, state, caller, request, body, translate.COMMUNITY)


_CONTROLLED: dict[str, Any] = {"summary": "Pictures that are held to a picture by ControlNets", **_ANSWERS}


@router.post("/api/v5/controlnet", name="v5_controlnet", **_CONTROLLED)
@router.post("/api/v4/controlnet", name="v4_controlnet", **_CONTROLLED)
@router.post("/api/v3/controlnet", name="v3_controlnet", **_CONTROLLED)
async def controlnet(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[schemas.Controlled, Body(openapi_examples=given.examples(given.CONTROLNET))],
) -> Response:
    """Needs a `model_id`, and an `init_image` or a `control_image`."""
    return await _generate(core, state, caller, request, body, translate.COMMUNITY)


async def _generate(
    core: Service,
    state: V3State,
    caller: Caller,
    request: Request,
    body: schemas.Generation,
    route: Route,
) -> Response:
    check_webhook(body.webhook, core.settings)
    # What is cheap to refuse is refused before pictures are fetched and kept.
    chosen = await asyncio.to_thread(translate.choose, body, route, core.catalog, core.settings)
    begun = await beginning(body, chosen.nets, core.intake, str(request.base_url))
    seed = secrets.randbelow(schemas.MAX_SEED + 1) if body.seed is None else body.seed
    works = [translate.request(body, chosen, begun, seed + place) for place in range(body.samples)]
    ticket = await submit(
        core,
        state,
        caller,
        request,
        body,
        works,
        fetch=route.fetch,
        meta=partial(meta, route.face, body, chosen, begun, works[0]),
        notices=chosen.notices,
    )
    return await answer(core, state, request, ticket)
