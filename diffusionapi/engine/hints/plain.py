"""Hints that need no network: each makes of a picture one of the same size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from PIL import Image

Pixels = Any
"""uint8, height by width, for colours by 3. OpenCV's and numpy's own names of it do not go together."""

_LOW, _HIGH = 100, 200
"""Canny's thresholds, in levels a pixel."""
_STROKE = 32
"""From how large a difference of two blurs there is a stroke."""
_PATCH = 256
"""About how many pixels shuffled pictures keep together."""


def canny(picture: Image.Image) -> Image.Image:
    """Canny 1986: thin white edges on black."""
    return drawn(cv2.Canny(pixels(picture), _LOW, _HIGH))


def scribble(picture: Image.Image) -> Image.Image:
    """Bold strokes, from an extended difference of Gaussians (Winnemöller 2011)."""
    levels = pixels(picture).astype(np.float32)
    near, far = (cv2.GaussianBlur(levels, (0, 0), radius) for radius in (0.5, 5.0))
    darker = (255 - (far - near).min(axis=2)).clip(0, 255).astype(np.uint8)
    return drawn(np.where(2 * (255 - darker.astype(int)) > _STROKE, 255, 0).astype(np.uint8))


def lineart(picture: Image.Image) -> Image.Image:
    """Where it is darker than around: white lines on black, as strong as they are."""
    levels = pixels(picture).astype(np.float32)
    darker = (cv2.GaussianBlur(levels, (0, 0), 6.0) - levels).min(axis=2).clip(0, 255)
    strokes = darker[darker > 8]
    usual = max(16.0, float(np.median(strokes))) if strokes.size else 16.0
    return drawn((darker / usual * 127).clip(0, 255).astype(np.uint8))


def shuffle(picture: Image.Image, seed: int) -> Image.Image:
    """The same colours, strewn anew: every pixel is had from where a smooth random map says."""
    levels, dice = pixels(picture), np.random.default_rng(seed)
    height, width = levels.shape[:2]
    across, down = (_waves(dice, width, height) * (side - 1) for side in (width, height))
    strewn = cv2.remap(levels, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR)
    return drawn(strewn)


def _waves(dice: np.random.Generator, width: int, height: int) -> Pixels:
    """Smooth from 0 to 1."""
    coarse = dice.uniform(size=(height // _PATCH + 2, width // _PATCH + 2))
    size = (width + 2 * _PATCH, height + 2 * _PATCH)
    smooth = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))
    smooth = smooth[_PATCH : _PATCH + height, _PATCH : _PATCH + width]
    smooth = smooth - smooth.min()
    return smooth / max(float(smooth.max()), 1e-9)


def pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB"))


def drawn(levels: Pixels) -> Image.Image:
    """A picture of levels, grey or in colours."""
    return Image.fromarray(np.asarray(levels, dtype=np.uint8)).convert("RGB")


def resized(levels: Pixels, size: tuple[int, int]) -> Pixels:
    """To this width and height: averaged on the way down, Lanczos on the way up."""
    height, width = levels.shape[:2]
    if (width, height) == size:
        return levels
    smaller = sum(size) < width + height
    return cv2.resize(levels, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4)
