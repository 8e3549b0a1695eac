"""The ideal objects, taken apart into the areas of their tones, at any size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from training.picturebook.world.objects import OBJECT_DRAWINGS

FINE = 160
"""Sides of the object drawn to be reduced."""
RIM = 0.09
"""Width of the band around an object where it must stand out, in shares of the object."""
_MARGIN = round(RIM * FINE) + 24
"""For the band, and for what is left of the last pixel at the smallest sizes."""


@dataclass(frozen=True, slots=True)
class Template:
    """Shares of pixels, tones x side x side, the object's middle in the middle. `around` is the band outside
    the outline, each of its pixels with the nearest tone of the object."""

    tones: tuple[str, ...]
    inside: np.ndarray
    around: np.ndarray


@cache
def template(name: str, size: float) -> Template:
    """An object `size` pixels large. The first tone is its own colour."""
    tones, fine = _fine(name)
    side = 2 * int(np.ceil(size * (0.5 + RIM))) + 1
    half = side * FINE / size / 2
    middle = _MARGIN + FINE / 2
    box = (middle - half, middle - half, middle + half, middle + half)
    found = np.stack([_smaller(layer, side, box) for layer in fine])
    return Template(tones, found[: len(tones)], found[len(tones) :])


def _smaller(layer: np.ndarray, side: int, box: tuple[float, float, float, float]) -> np.ndarray:
    """The means of areas."""
    image = Image.fromarray(layer.astype(np.uint8) * 255)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX, box), dtype=np.float32) / 255


@cache
def _fine(name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The tones, then a mask for each, then its part of the band around."""
    drawing = OBJECT_DRAWINGS[name]
    used = {part.tone for part in drawing.parts}
    tones = ("colour", *sorted(used - {"colour"}))
    side = FINE + 2 * _MARGIN
    image = Image.new("L", (side, side))
    fills = {tone: i + 1 for i, tone in enumerate(tones)}
    drawing.draw(ImageDraw.Draw(image), fills, side / 2, side / 2, FINE)
    inside = np.asarray(image)
    spread = inside
    for _ in range(round(RIM * FINE)):
        spread = np.where(spread > 0, spread, _neighbour(spread))
    around = np.where(inside > 0, 0, spread)
    return tones, np.stack([inside == i for i in fills.values()] + [around == i for i in fills.values()])


def _neighbour(marks: np.ndarray) -> np.ndarray:
    wider = np.pad(marks, 1)
    high, wide = marks.shape
    sides = [wider[y : y + high, x : x + wide] for y, x in ((0, 1), (1, 0), (1, 2), (2, 1))]
    found: np.ndarray = np.maximum.reduce(sides)
    return found
