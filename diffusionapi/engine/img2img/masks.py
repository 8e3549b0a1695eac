"""Masks, grey pictures whose white part is painted: their blur, their region, and what bleeds into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

if TYPE_CHECKING:
    from diffusionapi.engine.img2img.resizing import Box, Size

_BLEEDING = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2))
"""Radius of a blur in pixels, and how often it is laid on: from far around to close by."""
_GREY = (127, 127, 127)


def blur(mask: Image.Image, radius: float) -> Image.Image:
    """Gaussian, the standard deviation in pixels."""
    return mask.filter(ImageFilter.GaussianBlur(radius)) if radius > 0 else mask


def doubled(mask: Image.Image) -> Image.Image:
    """Twice as white: all that was white before a blur is white again."""
    return mask.point([min(2 * level, 255) for level in range(256)])


def region(mask: Image.Image, padding: int, shape: Size) -> Box | None:
    """What is white with so many pixels around it, grown to this shape as far as the picture allows."""
    box = mask.getbbox()
    if box is None:
        return None
    left, top = max(box[0] - padding, 0), max(box[1] - padding, 0)
    right, bottom = min(box[2] + padding, mask.width), min(box[3] + padding, mask.height)
    wide, high = (bottom - top) * shape[0] // shape[1], (right - left) * shape[1] // shape[0]
    left, right = _grown(left, right, wide, mask.width)
    top, bottom = _grown(top, bottom, high, mask.height)
    return left, top, right, bottom


def _grown(start: int, end: int, length: int, limit: int) -> tuple[int, int]:
    """To both sides alike; at an edge, all to the other side."""
    length = min(max(length, end - start), limit)
    start = min(max(start - (length - (end - start)) // 2, 0), limit - length)
    return start, start + length


def bleed(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with its surroundings, ever more blurred, in the place of what is masked."""
    kept = ImageOps.invert(mask)
    mean = ImageStat.Stat(picture, kept).mean if kept.getbbox() else _GREY
    filled = Image.new("RGBA", picture.size, tuple(round(level) for level in mean))
    seen = Image.merge("RGBa", [*(ImageChops.multiply(band, kept) for band in picture.split()), kept])
    for radius, times in _BLEEDING:
        layer = seen.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            filled.alpha_composite(layer)
    return Image.composite(picture, filled.convert("RGB"), kept)
