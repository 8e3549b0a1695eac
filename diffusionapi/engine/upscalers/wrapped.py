"""Enlargements of what has edges that fit together: they see some of the other edge, then it is cut off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from diffusionapi.engine.tiling import AXES, padded
from diffusionapi.engine.upscalers import latent

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.core.request import Tiling
    from diffusionapi.engine.upscalers.upscaler import Upscaler, Upscaling

_CELLS, _PIXELS = 4, 32
"""How much of the other edge is seen, at least."""


def latents(x: Tensor, name: str, size: tuple[int, int], tiling: Tiling) -> Tensor:
    """As `latent.upscale` does it."""
    width, height = (side // latent.PIXELS_PER_CELL for side in size)
    margins = _margins((x.shape[-1], x.shape[-2]), (width, height), _CELLS, tiling)
    for axis, (before, _) in zip((-1, -2), margins, strict=True):
        x = padded(x, axis, before)
    (_, left), (_, top) = margins
    wider = ((width + 2 * left) * latent.PIXELS_PER_CELL, (height + 2 * top) * latent.PIXELS_PER_CELL)
    return latent.upscale(x, name, wider)[..., top : top + height, left : left + width]


def pictures(upscaler: Upscaler, tiling: Tiling) -> Upscaler:
    """The upscaler of pictures for pictures that are tiled so."""
    if tiling == "none":
        return upscaler

    def upscale(picture: Image.Image, size: tuple[int, int]) -> Upscaling:
        width, height = size
        (across, left), (down, top) = _margins(picture.size, size, _PIXELS, tiling)
        levels = np.pad(np.asarray(picture), ((down, down), (across, across), (0, 0)), mode="wrap")
        wider = (width + 2 * left, height + 2 * top)
        larger = yield from upscaler(Image.fromarray(levels), wider)
        return larger.crop((left, top, left + width, top + height))

    return upscale


def _margins(
    size: tuple[int, int], larger: tuple[int, int], least: int, tiling: Tiling
) -> list[tuple[int, int]]:
    """Of width and height, before and after: whole numbers, enlarged exactly as the whole is."""
    margins = []
    for axis, one, other in zip((-1, -2), size, larger, strict=True):
        unit = one // math.gcd(one, other)
        count = min(-(-least // unit) * unit, one) if axis in AXES[tiling] else 0
        margins.append((count, count * other // one))
    return margins
