"""Pictures as arrays: made smaller, compared, smoothed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from training.picturebook.world.pen import RGB


def reduced(picture: np.ndarray, unit: int) -> np.ndarray:
    """float32, the shorter side `unit` pixels long; means of areas where it gets smaller."""
    high, wide = picture.shape[:2]
    scale = unit / min(high, wide)
    size = (round(wide * scale), round(high * scale))
    way = Image.Resampling.BOX if scale <= 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(picture).resize(size, way), dtype=np.float32)


def distance(picture: np.ndarray, tone: RGB | np.ndarray) -> np.ndarray:
    """Of every pixel from a tone, or from the tones of another picture."""
    found: np.ndarray = np.sqrt(((picture - np.asarray(tone, dtype=np.float32)) ** 2).sum(axis=-1))
    return found


def closeness(picture: np.ndarray, tone: RGB | np.ndarray, reach: float) -> np.ndarray:
    """1 where a pixel has the tone, 0 where it is `reach` or more away from it."""
    found: np.ndarray = np.maximum(0, 1 - distance(picture, tone) / reach)
    return found


def highest(values: np.ndarray, reach: int) -> np.ndarray:
    """The highest value up to `reach` pixels away, up, down and sideways, of every pixel."""
    for axis in (0, 1):
        pad = [(0, 0)] * values.ndim
        pad[axis] = (reach, reach)
        values = np.moveaxis(np.pad(values, pad, mode="edge"), axis, 0)
        wide = 1
        while wide < 2 * reach + 1:
            step = min(wide, 2 * reach + 1 - wide)
            values = np.maximum(values[:-step], values[step:])
            wide += step
        values = np.moveaxis(values, 0, axis)
    return values


def lowest(values: np.ndarray, reach: int) -> np.ndarray:
    return -highest(-values, reach)
