"""What is painted on: a source and its mask at the size that is painted, and the way back to the whole.

No torch here: the fake engine paints on the same canvas.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from diffusionapi.engine.img2img import masks
from diffusionapi.engine.img2img.resizing import RESIZE, fill, stretch, unfill
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.core.request import GenerationRequest, Mask, Source
    from diffusionapi.engine.img2img.resizing import Box, Size


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    picture: Image.Image
    """What is changed, at the size of the request."""
    mask: Image.Image | None
    """White where it is painted; as large as `picture`."""
    whole: Image.Image
    """What the result is set into, and is where nothing is painted."""
    overlay: Image.Image | None
    """How much of the result is seen; as large as `whole`."""
    region: Box | None
    """The part of `whole` that `picture` shows, None for all of it."""
    paints: bool = True
    """Whether anything is to be painted; otherwise the result is `whole`."""
    notice: str = ""
    """Why nothing is painted, where that may surprise."""

    def finished(self, painted: Image.Image) -> Image.Image:
        """The result; outside of the mask it is the source, to the bit."""
        if self.overlay is None:
            return painted
        if self.region is not None:
            left, top, right, bottom = self.region
            part, painted = unfill(painted, (right - left, bottom - top)), self.whole.copy()
            painted.paste(part, (left, top))
        return Image.composite(painted, self.whole, self.overlay)


def prepare(request: GenerationRequest, uploads: Uploads) -> Canvas | None:
    """The canvas of a request, None if it starts from noise alone."""
    if request.source is None:
        return None
    if request.hires is not None:
        raise BadRequest("hires", "a picture that starts from another has no second pass")
    mask = request.source.mask
    if request.tiling != "none" and mask is not None and mask.only_masked:
        raise BadRequest(
            "tiling", "the masked part alone has no edges that could fit; paint the whole, or do not tile"
        )
    return _canvas(request.source, (request.width, request.height), uploads)


def _canvas(source: Source, size: Size, uploads: Uploads) -> Canvas:
    picture = _open(uploads, source.upload, "RGB")
    asked = source.mask
    if asked is None:
        picture = RESIZE[source.resize](picture, size)
        return Canvas(picture, None, picture, None, None, paints=source.strength > 0)
    mask = stretch(_open(uploads, asked.upload, "L"), picture.size)
    mask = ImageOps.invert(mask) if asked.invert else mask
    if asked.only_masked:
        mask = overlay = masks.blur(mask, asked.blur)
        region = masks.region(mask, asked.padding, size)
    else:
        picture = RESIZE[source.resize](picture, size)
        mask = masks.blur(RESIZE[source.resize](mask, size), asked.blur)
        # As in A1111, what was white shows the result alone, and the blur fades it out around that.
        overlay, region = masks.doubled(mask), None
    if overlay.getbbox() is None:
        return Canvas(picture, None, picture, None, None, paints=False, notice=_NO_WHITE)
    canvas = Canvas(picture, mask, picture, overlay, region, paints=source.strength > 0)
    return _filled(_enlarged(canvas, size), asked)


_NO_WHITE = "The mask has no white in it, so nothing was painted"


def _enlarged(canvas: Canvas, size: Size) -> Canvas:
    """The region alone, at the size that is painted."""
    if canvas.region is None or canvas.mask is None:
        return canvas
    picture, mask = (fill(one.crop(canvas.region), size) for one in (canvas.whole, canvas.mask))
    return replace(canvas, picture=picture, mask=mask)


def _filled(canvas: Canvas, asked: Mask) -> Canvas:
    """What latents cannot hold is filled in before: noise and zeros come later."""
    if asked.fill != "blurred" or canvas.mask is None:
        return canvas
    return replace(canvas, picture=masks.bleed(canvas.picture, canvas.mask))


def _open(uploads: Uploads, name: str, mode: str) -> Image.Image:
    with Image.open(io.BytesIO(uploads.get(name))) as picture:
        return picture.convert(mode)
