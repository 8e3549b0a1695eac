"""What stands out from a plain background: its mask, its colour, its shape, how sharp its edge is."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from PIL import Image

from training.picturebook.judging.pixels import distance, highest, lowest, reduced
from training.picturebook.world.paint import silhouette
from training.picturebook.world.plan import COLOURS, SHAPES

UNIT = 128
APART = 40.0
"""How far a pixel is from the background if it is of something else."""
NEAR = 75.0
"""How near a pixel is to a colour that it counts for."""
SIZES = tuple(0.22 * 1.045**i for i in range(32))
ASIDE = 26
"""How many pixels from the middle a shape may stand."""
ALIKE = 0.82
"""Intersection over union with the ideal outline, below which there is no shape. Disc and square have 0.83
in common, true drawings of any size more than 0.9 with their ideal."""
SOFT = 0.012
"""The edge's blur, a standard deviation in shares of the shorter side, above which a drawing is no drawing:
6 pixels at 512."""
NAMES = tuple(COLOURS)
_PALETTE = np.array(list(COLOURS.values()), dtype=np.float32)


def background(picture: np.ndarray) -> tuple[str, np.ndarray]:
    """The nearest colour of the border, and the border's tone as it is."""
    edge = max(2, min(picture.shape[:2]) // 32)
    sides = (picture[:edge], picture[-edge:], picture[:, :edge], picture[:, -edge:])
    tone = np.median(np.concatenate([side.reshape(-1, 3) for side in sides]), axis=0)
    return NAMES[int(distance(_PALETTE, tone).argmin())], tone


def mask(picture: np.ndarray, tone: np.ndarray) -> np.ndarray:
    """Where the picture is not background; specks are neither seen as things nor as holes."""
    apart = (distance(picture, tone) > APART).astype(np.float32)
    wider = np.pad(apart, 1, mode="edge")
    around = [wider[y : y + len(apart), x : x + apart.shape[1]] for y, x in product(range(3), repeat=2)]
    found: np.ndarray = np.sum(around, axis=0) > 4
    return found


def colour(pixels: np.ndarray, without: str | None) -> str | None:
    """What most of the pixels that are of any colour are nearest to; never the background's."""
    if not len(pixels):
        return None
    apart = np.stack([distance(pixels, one) for one in _PALETTE], axis=1)
    if without is not None:
        apart[:, NAMES.index(without)] = np.inf
    votes = np.bincount(apart.argmin(axis=1)[apart.min(axis=1) < NEAR], minlength=len(NAMES))
    return NAMES[int(votes.argmax())] if votes.any() else None


def shape(found: np.ndarray) -> tuple[str | None, float]:
    """The shape whose outline is most alike, and its intersection over union even if that is too little.

    All sizes are tried everywhere near the middle: a bounding box would be at the mercy of a speck.
    """
    high, wide = found.shape
    waves = np.fft.rfft2(found.astype(np.float32))
    area = float(found.sum())
    best, name = 0.0, None
    for one in SHAPES:
        ideals, areas = _ideals(one, found.shape)
        common = np.fft.irfft2(waves * ideals, found.shape)
        near = common[
            :, high // 2 - ASIDE : high // 2 + ASIDE + 1, wide // 2 - ASIDE : wide // 2 + ASIDE + 1
        ].max(axis=(1, 2))
        overlap = float((near / (area + areas - near)).max())
        if overlap > best:
            best, name = overlap, one
    return (name if best >= ALIKE else None), best


@cache
def _ideals(name: str, frame: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The transforms of an outline of every size in the middle of a frame, and their areas."""
    fine = Image.fromarray(silhouette(name, 512).astype(np.uint8) * 255)
    middles = [_centred(fine, size * UNIT, frame) for size in SIZES]
    waves = [np.conj(np.fft.rfft2(np.fft.ifftshift(one))) for one in middles]
    return np.stack(waves).astype(np.complex64), np.array([one.sum() for one in middles])


def _centred(fine: Image.Image, size: float, frame: tuple[int, int]) -> np.ndarray:
    high, wide = frame
    scale = fine.width / size
    half_x, half_y = (wide // 2 + 0.5) * scale, (high // 2 + 0.5) * scale
    middle = fine.width / 2
    left, top = middle - half_x, middle - half_y
    box = (left, top, left + wide * scale, top + high * scale)
    ideal = fine.transform((wide, high), Image.Transform.EXTENT, box, Image.Resampling.NEAREST, fillcolor=0)
    return np.asarray(ideal, dtype=np.float32) / 255


def softness(picture: np.ndarray, within: np.ndarray) -> float:
    """The usual blur of the edges of a mask of any size: a standard deviation in shares of a side.

    A blurred step between two tones is as steep as its height over 2.5 deviations.
    """
    fine = reduced(picture, min(256, *picture.shape[:2]))
    unit = min(fine.shape[:2])
    size = (fine.shape[1], fine.shape[0])
    whole = np.asarray(Image.fromarray(within.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR))
    inside = whole > 127
    rim = inside & ~lowest(inside.astype(np.int8), 1).astype(bool)
    if not rim.any():
        return 1.0
    reach = max(2, round(0.03 * unit))
    high, low = highest(fine, reach), lowest(fine, reach)
    steep = np.zeros_like(fine)
    steep[:, 1:-1] = np.abs(fine[:, 2:] - fine[:, :-2]) / 2
    upright = np.zeros_like(fine)
    upright[1:-1] = np.abs(fine[2:] - fine[:-2]) / 2
    steep = highest(np.hypot(steep, upright), reach)
    rises, slopes = (high - low)[rim], steep[rim]
    channel = rises.argmax(axis=1)[:, None]
    rise, slope = (np.take_along_axis(one, channel, 1)[:, 0] for one in (rises, slopes))
    clear = rise > 24
    if not clear.any():
        return 1.0
    blur: float = np.median(rise[clear] / np.maximum(slope[clear], 0.01)) / (2.507 * unit)
    return float(blur)
