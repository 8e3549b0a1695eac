"""The routes that take new jobs: from words, from a picture, into a part of a picture."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import Body, Header, Request

from diffusionapi.api.dialect import dialect_router
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.primary import control, img2img_schemas, schemas, translate
from diffusionapi.api.primary import img2img as beginnings
from diffusionapi.api.primary.face import NO_STORAGE, face, failures
from diffusionapi.jobs.store import IdempotencyKey

if TYPE_CHECKING:
    from pydantic import BaseModel

router = dialect_router(face, tags=[])

Key = Annotated[
    str | None,
    Header(
        max_length=255,
        description="The client's own name for this request; for 24 hours it gives the same job",
    ),
]

REFUSALS = {
    "_400": "The body is not JSON",
    "_413": "The body is too large",
    "_422": "A field is wrong; the sentence names it",
    "_429": "The queue is full; `Retry-After` says when to try again",
    "_503": NO_STORAGE,
    "_507": "No space is left",
}
INCOMPLETE = {"_400": "The body is not JSON, or a field is missing without which there is nothing to do"}


@router.post("/txt2img", summary="Submit a picture", responses=failures(**REFUSALS))
async def txt2img(
    core: Core,
    request: Request,
    body: Annotated[
        schemas.Txt2ImgRequest,
        Body(
            openapi_examples={
                "forest": {"summary": "A forest", "value": schemas.TXT2IMG_EXAMPLE},
                "panorama": {"summary": "A panorama, larger", "value": schemas.PANORAMA_EXAMPLE},
            }
        ),
    ],
    idempotency_key: Key = None,
) -> schemas.Txt2ImgResponse:
    """The job waits in the queue; ask for it at `GET /queue/{job_id}`."""
    return await _submit(core, request, body, idempotency_key)


@router.post(
    "/img2img",
    summary="Submit a picture that begins with a picture",
    responses=failures(**REFUSALS | INCOMPLETE),
)
async def img2img(
    core: Core,
    request: Request,
    body: Annotated[
        img2img_schemas.Img2ImgRequest,
        Body(
            openapi_examples={
                "forest": {"summary": "From a sun over a hill", "value": img2img_schemas.IMG2IMG_EXAMPLE}
            }
        ),
    ],
    idempotency_key: Key = None,
) -> schemas.Txt2ImgResponse:
    """The job waits in the queue; ask for it at `GET /queue/{job_id}`."""
    return await _submit(core, request, body, idempotency_key)


@router.post(
    "/inpaint",
    summary="Submit a part of a picture to be painted anew",
    responses=failures(**REFUSALS | INCOMPLETE),
)
async def inpaint(
    core: Core,
    request: Request,
    body: Annotated[
        img2img_schemas.InpaintRequest,
        Body(
            openapi_examples={
                "sun": {"summary": "Another sun over a hill", "value": img2img_schemas.INPAINT_EXAMPLE}
            }
        ),
    ],
    idempotency_key: Key = None,
) -> schemas.Txt2ImgResponse:
    """White in the mask is painted anew, black stays as it is, to the pixel."""
    return await _submit(core, request, body, idempotency_key)


async def _submit(
    core: Core, request: Request, body: schemas.Txt2ImgRequest, key: str | None
) -> schemas.Txt2ImgResponse:
    # What is cheap to refuse is refused before a picture is fetched and kept.
    chosen = await asyncio.to_thread(translate.choose, body, core.catalog, core.settings)
    beginning, here = None, str(request.base_url)
    if isinstance(body, img2img_schemas.Img2ImgRequest):
        beginning = await beginnings.beginning(body, core.intake, core.settings.max_side, here)
    source = beginning.source if beginning else None
    controls = await control.controls(chosen.nets, source, partial(core.intake.picture, here=here))
    ticket = translate.ticket(body, chosen, core.settings, beginning, controls)
    named = await asyncio.to_thread(key_of, key, body)
    return schemas.Txt2ImgResponse(job_id=await core.submit(ticket, named), status="queued")


def key_of(name: str | None, body: BaseModel) -> IdempotencyKey | None:
    if not name:
        return None
    return IdempotencyKey(name, hashlib.sha256(body.model_dump_json().encode()).hexdigest())
