"""The pictures of a training, brought to about `size` by `size` pixels and encoded once.

A picture that is no square keeps about its shape: sides are multiples of 64, and what a shape has too much of
is cut off at its edges.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from PIL import Image

from diffusionapi.engine import autoencoder
from diffusionapi.engine.img2img.resizing import crop
from diffusionapi.engine.training.loss import Example
from diffusionapi.errors import BadRequest, PictureGone, UnknownPicture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.core.work import TrainingRequest
    from diffusionapi.engine.img2img.resizing import Size
    from diffusionapi.engine.models.loaded import LoadedModel

_GRID = 64
"""Pixels; halved three times in the UNet, eight times smaller in the latents."""
_LONGEST = 2
"""How many times as long as a square's side a picture's longer side may be."""


def square(size: int) -> Size:
    side = size // _GRID * _GRID
    if side < _GRID:
        raise BadRequest("size", f"it has to be {_GRID} at least")
    return side, side


def shape(picture: Size, size: int) -> Size:
    """The width and height nearest in shape to a picture's that have no more pixels than the square."""
    side, _ = square(size)
    widths = range(square(max(side // _LONGEST, _GRID))[0], side * _LONGEST + 1, _GRID)
    heights = (min(side * side // width // _GRID * _GRID, side * _LONGEST) for width in widths)
    sizes = [(width, height) for width, height in zip(widths, heights, strict=True) if height]
    wanted = math.log(picture[0] / picture[1])
    return min(sizes, key=lambda one: (abs(math.log(one[0] / one[1]) - wanted), -one[0] * one[1]))


def examples(request: TrainingRequest, uploads: Uploads, model: LoadedModel) -> Iterator[Example]:
    if not request.pictures:
        raise BadRequest("pictures", "there has to be one at least")
    for number, name in enumerate(request.pictures, 1):
        try:
            content = uploads.get(name)
        except UnknownPicture as error:
            raise PictureGone("pictures", f"number {number} of {len(request.pictures)} is gone") from error
        with Image.open(io.BytesIO(content)) as opened:
            picture = opened.convert("RGB")
        size = shape(picture.size, request.size)
        latents = autoencoder.encode(model, crop(picture, size)).cpu()
        yield Example(latents, request.instance_prompt, told(model, picture.size, size))


def told(model: LoadedModel, picture: Size, size: Size) -> tuple[float, ...]:
    """What SDXL is told: how large the picture was, what was cut off its top and left, how large it is."""
    if model.family != "sdxl":
        return ()
    scale = max(size[0] / picture[0], size[1] / picture[1])
    left, top = (round((full * scale - kept) / 2) for full, kept in zip(picture, size, strict=True))
    return tuple(float(one) for one in (picture[1], picture[0], top, left, size[1], size[0]))
