"""The routes of pictures: upload one, fetch one by its URL."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import File, Path, Request, Response, UploadFile

from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.tasks.caller import State, caller_of
from diffusionapi.api.tasks.face import (
    BAD_PARAMETERS,
    NO_SPACE,
    NO_STORAGE,
    NO_TOKEN,
    TOO_LARGE,
    failures,
    tasks_router,
)
from diffusionapi.errors import BadRequest

router = tasks_router()

_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
"""By the first bytes of a file."""


@router.post(
    "/blob",
    summary="Upload a picture",
    response_description="Its URL, for `initial_image` and `mask`",
    responses=failures(
        _401=NO_TOKEN,
        _413=TOO_LARGE,
        _422="It holds no picture that can be read",
        _503=NO_STORAGE,
        _507=NO_SPACE,
    ),
)
async def create_blob(
    core: Core,
    state: State,
    request: Request,
    blob_data: Annotated[
        UploadFile,
        # The format is of OpenAPI 3.0; generators of clients go by it, and not by what took its place in 3.1.
        File(description="A PNG, JPEG or WebP", json_schema_extra={"format": "binary"}),
    ],
) -> str:
    """Kept as a PNG for UPLOAD_TTL after its last use. Needs a token only with PROTECT_UPLOADS."""
    if core.settings.protect_uploads:
        await caller_of(request, state)
    most = core.settings.max_upload_mb
    content = await blob_data.read(most * 2**20 + 1)
    if len(content) > most * 2**20:
        raise BadRequest("blob_data", f"the file is larger than {most} MiB (MAX_UPLOAD_MB)")
    name = await core.intake.picture(content, "blob_data")
    return state.links.url(state.links.base(request), name)


@router.get(
    "/blob/{blob_token}",
    summary="A picture by its URL",
    response_class=Response,
    responses={
        200: {
            "description": "The file",
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        },
        **failures(_404="No such picture, or no longer", _422=BAD_PARAMETERS, _503=NO_STORAGE),
    },
)
async def get_blob(
    state: State, blob_token: Annotated[str, Path(description="The last part of the URL")]
) -> Response:
    content = await asyncio.to_thread(state.links.read, blob_token)
    kind = next((kind for start, kind in _TYPES.items() if content.startswith(start)), "image/png")
    headers = {"Cache-Control": "private, max-age=3600, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=kind, headers=headers)
