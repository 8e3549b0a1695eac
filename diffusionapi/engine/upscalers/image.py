"""The upscalers of pictures that need no network: Lanczos and Nearest, by Pillow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PIL.Image import Resampling

if TYPE_CHECKING:
    from PIL.Image import Image

    from diffusionapi.engine.upscalers.upscaler import Upscaling


def _resize(picture: Image, size: tuple[int, int], *, filter_: Resampling) -> Upscaling:
    yield from ()
    return picture.resize(size, filter_)


UPSCALERS = {
    "Lanczos": partial(_resize, filter_=Resampling.LANCZOS),
    "Nearest": partial(_resize, filter_=Resampling.NEAREST),
}
