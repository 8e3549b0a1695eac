"""From the pictures in a request to the way its own picture begins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from diffusionapi.api.primary import translate
from diffusionapi.api.primary.img2img_schemas import Img2ImgRequest, InpaintRequest, Size
from diffusionapi.api.primary.translate import Beginning
from diffusionapi.core.request import Fill, Mask, Resize, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.api.primary.img2img_schemas import Factors, MaskedContent, ResizeMode
    from diffusionapi.intake.intake import Intake

_RESIZES: dict[ResizeMode, Resize] = {
    "just resize": "stretch",
    "crop and resize": "crop",
    "resize and fill": "fill",
}
_FILLS: dict[MaskedContent, Fill] = {
    "fill": "blurred",
    "original": "original",
    "latent noise": "noise",
    "latent nothing": "blank",
}


async def beginning(body: Img2ImgRequest, intake: Intake, max_side: int, here: str) -> Beginning:
    """Take the pictures in and settle the size; what can be refused without the pictures is refused first.

    `here` is the server's address as the client wrote it.
    """
    size = _size(body, max_side)
    picture = await intake.picture(body.image, "image", here=here)
    if body.resize_by:
        scaled = _scaled(body.resize_by, await asyncio.to_thread(intake.uploads.size, picture))
        size = translate.size(scaled, max_side, "resize_by.")
    named, mask = {"image": picture}, None
    if isinstance(body, InpaintRequest):
        named["mask"] = await intake.mask(body.mask, "mask", here=here)
        mask = _mask(body, named["mask"])
    source = Source(picture, body.denoising_strength, _RESIZES[body.resize_mode], mask)
    kept = None
    if source.mask is not None and source.mask.only_masked:
        kept = await asyncio.to_thread(intake.uploads.size, picture)
    return Beginning(source, size, named, tuple(_notices(body, size)), kept)


def _size(body: Img2ImgRequest, max_side: int) -> tuple[int, int]:
    if body.resize_to:
        return translate.size(body.resize_to, max_side, "resize_to.")
    return translate.size(body, max_side)


def _scaled(factors: Factors, given: tuple[int, int]) -> Size:
    width, height = given
    # Not validated: what comes of it may be smaller or larger than what a client may name.
    return Size.model_construct(width=round(width * factors.width), height=round(height * factors.height))


def _mask(body: InpaintRequest, upload: str) -> Mask:
    return Mask(
        upload=upload,
        blur=body.mask_blur,
        invert=body.mask_invert,
        fill=_FILLS[body.inpainting_fill],
        only_masked=body.inpaint_area == "only masked",
        padding=body.inpaint_full_res_padding,
    )


def _notices(body: Img2ImgRequest, size: tuple[int, int]) -> Iterator[str]:
    """Sentences on what was chosen and does nothing. Some clients send all fields: a default is no choice."""
    fields = type(body).model_fields
    chosen = {name for name in body.model_fields_set if getattr(body, name) != fields[name].default}
    if "image_guidance_scale" in chosen:
        yield "image_guidance_scale has no effect: it is for instruct-pix2pix models, which are not supported"
    sides = {"width": size[0], "height": size[1]}
    unused = [name for name in sides if name in chosen and getattr(body, name) != sides[name]]
    if unused and (body.resize_to or body.resize_by):
        other = "resize_to" if body.resize_to else "resize_by"
        yield f"{' and '.join(unused)} had no effect: {other} says the size"
    if getattr(body, "inpaint_area", None) == "whole picture" and "inpaint_full_res_padding" in chosen:
        yield "inpaint_full_res_padding has no effect: the area is the whole picture"
