"""The colour of what stands in a scene, whatever it is: a patch of one colour that its surroundings lack."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from training.picturebook.judging.pixels import distance, reduced
from training.picturebook.world.plan import COLOURS

UNIT = 48
NEAR = 75.0
"""How near a pixel is to a colour that it counts for."""
LEAST = 0.3
"""The share of the patch that has the colour, less the share of the band around it."""
LARGE = 1.0
"""How much the size of a patch counts: eyes are purer than a face, and smaller."""
ASIDE, ABOVE = 5, 9
"""How many pixels from the middle a patch may be, sideways and up and down."""
_SIZES = (0.18, 0.25, 0.34, 0.46)
_NARROW = (1.0, 0.6, 1.6)
_BAND = 1.5
"""Radius of the band in radii of the patch."""


def colour(picture: np.ndarray) -> str | None:
    small = reduced(picture, UNIT)
    high, wide = small.shape[:2]
    apart = np.stack([distance(small, one) for one in COLOURS.values()])
    own = (apart == apart.min(axis=0)) & (apart < NEAR)
    waves = np.fft.rfft2(own.astype(np.float32))
    scores = np.fft.irfft2(waves[:, None] * _kernels((high, wide)), (high, wide))
    top, left = high // 2 - ABOVE, wide // 2 - ASIDE
    best = scores[:, :, top : top + 2 * ABOVE + 1, left : left + 2 * ASIDE + 1].max(axis=(2, 3))
    sizes = np.array([size for size, _ in product(_SIZES, _NARROW)])
    rank = (np.where(best >= LEAST, best, 0) * sizes**LARGE).max(axis=1)
    return list(COLOURS)[int(rank.argmax())] if rank.any() else None


@cache
def _kernels(frame: tuple[int, int]) -> np.ndarray:
    """Transforms of ovals in the middle of a frame, of several sizes and widths."""
    high, wide = frame
    y, x = np.mgrid[:high, :wide] - np.array([high // 2, wide // 2])[:, None, None]
    found = []
    for size, narrow in product(_SIZES, _NARROW):
        down = size / 2 * UNIT / narrow**0.5
        away = np.hypot(x / (down * narrow), y / down)
        inside, band = away <= 1, (away > 1) & (away <= _BAND)
        weights = inside / inside.sum() - band / band.sum()
        found.append(np.conj(np.fft.rfft2(np.fft.ifftshift(weights))))
    return np.stack(found).astype(np.complex64)
