"""How a picture comes to another shape, in AUTOMATIC1111's three ways: stretched, cut to it, or filled up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.core.request import Resize

Size = tuple[int, int]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


def stretch(picture: Image.Image, size: Size) -> Image.Image:
    return picture if picture.size == size else picture.resize(size, _filter(picture))


def crop(picture: Image.Image, size: Size) -> Image.Image:
    """The largest part in the middle that has the shape of `size`."""
    if picture.size == size:
        return picture
    width, height = contained(size, picture.size, exact=True)
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    return picture.resize(size, _filter(picture), box=(left, top, left + width, top + height))


def fill(picture: Image.Image, size: Size) -> Image.Image:
    """All of it, in the middle, and its outermost pixels drawn out to the edges."""
    if picture.size == size:
        return picture
    left, top, right, bottom = inside(picture.size, size)
    small = np.asarray(stretch(picture, (right - left, bottom - top)))
    around = [(top, size[1] - bottom), (left, size[0] - right), *[(0, 0)] * (small.ndim - 2)]
    return Image.fromarray(np.pad(small, around, mode="edge"))


def unfill(picture: Image.Image, size: Size) -> Image.Image:
    """What a picture of `size` has become since it was filled up to the size of this one."""
    if picture.size == size:
        return picture
    return picture.resize(size, _filter(picture), box=inside(size, picture.size))


RESIZE: dict[Resize, Callable[[Image.Image, Size], Image.Image]] = {
    "stretch": stretch,
    "crop": crop,
    "fill": fill,
}


def inside(size: Size, outer: Size) -> Box:
    """Where a picture of this size lies when it is filled up to `outer`."""
    width, height = (max(1, round(side)) for side in contained(size, outer))
    left, top = (outer[0] - width) // 2, (outer[1] - height) // 2
    return left, top, left + width, top + height


def contained(shape: Size, outer: Size, *, exact: bool = False) -> tuple[float, float]:
    """The largest size of the shape of `shape` that fits into `outer`."""
    scale = min(outer[0] / shape[0], outer[1] / shape[1])
    width, height = shape[0] * scale, shape[1] * scale
    # A rounding error beyond the edge is an error to Pillow.
    return (min(width, outer[0]), min(height, outer[1])) if exact else (width, height)


def _filter(picture: Image.Image) -> Image.Resampling:
    """Lanczos overshoots at edges, which would leave traces of a mask where there is none."""
    return Image.Resampling.BILINEAR if picture.mode == "L" else Image.Resampling.LANCZOS
