"""What a picture says of how it was made: the text in its file, and the same as a request."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Body, Request
from pydantic import ValidationError

from diffusionapi.api.dialect import dialect_router
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.primary.face import face, failures
from diffusionapi.api.primary.img2img_schemas import IMG_INFO_EXAMPLE, ImgInfoRequest, ImgInfoResponse
from diffusionapi.api.primary.schemas import Txt2ImgRequest
from diffusionapi.infotext import grammar
from diffusionapi.infotext.files import Texts, texts

router = dialect_router(face, tags=[])

_NAMES = {
    "guidance": "cfg_scale",
    "sampler": "sampler_name",
    "schedule": "scheduler_type",
}
"""Where the primary dialect names a field otherwise than the core request."""
_INSIDE = ("loras", "hires", "refiner")


@router.post(
    "/img-info",
    summary="How a picture was made",
    responses=failures(
        _400="The body is not JSON, or holds no picture",
        _413="The body is too large",
        _422="This is no PNG, JPEG or WebP, or it cannot be fetched",
    ),
)
async def img_info(
    core: Core,
    request: Request,
    body: Annotated[
        ImgInfoRequest,
        Body(openapi_examples={"silent": {"summary": "One that says nothing", "value": IMG_INFO_EXAMPLE}}),
    ],
) -> ImgInfoResponse:
    """Reads what this server, AUTOMATIC1111's web UI and its kin write into their files."""
    content = await core.intake.file(body.image, "image", here=str(request.base_url))
    found = texts(content) or Texts()
    if found.settings is None:
        return ImgInfoResponse(info="", items=found.others, parameters={}, request={})
    return ImgInfoResponse(
        info=found.settings,
        items=found.others,
        parameters=grammar.parameters(found.settings),
        request=_as_request(grammar.read(found.settings)),
    )


def _as_request(settings: dict[str, Any]) -> dict[str, Any]:
    """Fields of a core request under the names of `POST /txt2img`; what is not there or off is left out."""
    fields = {_NAMES.get(name, name): value for name, value in settings.items() if name not in _INSIDE}
    if fields.get("scheduler_type") == "own":
        fields["scheduler_type"] = "default"
    fields["loras"] = [
        {"name": one.name, "scale": one.scale}
        for one in settings["loras"]
        if one.scale == one.text_encoder_scale
    ]
    for one in settings["loras"]:
        if one.scale != one.text_encoder_scale:
            fields["prompt"] = f"{fields['prompt']} <lora:{one.name}:{one.text_encoder_scale}:{one.scale}>"
    if hires := settings["hires"]:
        fields["hires"] = {"enabled": True} | asdict(hires)
    if upscale := settings.get("upscale"):
        fields["upscale"] = asdict(upscale)
    if refiner := settings["refiner"]:
        fields |= {"refiner_checkpoint": refiner.model, "refiner_switch_at": refiner.switch_at}
    return _accepted({name: value for name, value in fields.items() if value not in (None, [])})


def _accepted(fields: dict[str, Any]) -> dict[str, Any]:
    """Those that `POST /txt2img` has and takes: pictures come by other APIs, too, and anybody may have
    written the text."""
    fields = {name: value for name, value in fields.items() if name in Txt2ImgRequest.model_fields}
    try:
        Txt2ImgRequest.model_validate(fields)
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors()}
        return {name: value for name, value in fields.items() if name not in wrong}
    return fields
