"""The route that makes a given picture larger."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Annotated

from fastapi import Body, Request

from diffusionapi.api.dialect import dialect_router
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.primary import translate
from diffusionapi.api.primary.face import face, failures
from diffusionapi.api.primary.schemas import Txt2ImgResponse
from diffusionapi.api.primary.submit import INCOMPLETE, REFUSALS, Key, key_of
from diffusionapi.api.primary.work_schemas import ENLARGE_EXAMPLE, EnlargeRequest
from diffusionapi.core import enlarging
from diffusionapi.core.job import Ticket
from diffusionapi.core.work import UpscaleRequest

router = dialect_router(face, tags=[])


@router.post(
    "/upscale", summary="Submit a picture to be made larger", responses=failures(**REFUSALS | INCOMPLETE)
)
async def upscale(
    core: Core,
    request: Request,
    body: Annotated[
        EnlargeRequest,
        Body(openapi_examples={"sun": {"summary": "A sun over a hill", "value": ENLARGE_EXAMPLE}}),
    ],
    idempotency_key: Key = None,
) -> Txt2ImgResponse:
    """Nothing is painted again. The job waits in the queue; ask for it at `GET /queue/{job_id}`."""
    asked = await asyncio.to_thread(translate.upscale, body, core.catalog)
    upload = await core.intake.picture(body.image, "image", here=str(request.base_url))
    size = await asyncio.to_thread(core.intake.uploads.size, upload)
    enlarging.check(size, asked.scale, core.settings.max_side, "scale")
    work = UpscaleRequest(upload, asked.upscaler, asked.scale, asked.faces, body.fileType, body.jpeg_quality)
    payload = body.model_dump() | {"image": upload, "upscaler": body.upscaler or asked.upscaler}
    ticket = Ticket(str(uuid.uuid4()), translate.DIALECT, time.time(), work, payload, priority=body.priority)
    named = await asyncio.to_thread(key_of, idempotency_key, body)
    return Txt2ImgResponse(job_id=await core.submit(ticket, named), status="queued")
