"""Which of the objects stands in a picture, where and in which colour: all of them are tried everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from training.picturebook.judging.pixels import closeness, reduced
from training.picturebook.judging.templates import Template, template
from training.picturebook.world.plan import OBJECTS
from training.picturebook.world.tones import tones

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.picturebook.world.pen import RGB

UNIT = 96
"""The shorter side at which pictures are searched."""
EDGE = 8
"""Pixels added around: a search by Fourier transforms sees a picture's left beside its right."""
REACH = 70.0
"""Tones further apart have nothing in common."""
AROUND = 0.5
"""What looking like its surroundings costs an object, in shares of what looking like itself brings."""
DETAIL = 2.0
"""Weight of a pixel in another tone than the object's own colour: details are few and say most."""
SIZES = tuple(0.26 * 1.08**i for i in range(16))
SCENE_SIZES = SIZES[:11]
ASIDE = 0.14
"""How far from the middle an object may stand to the left and right."""
ABOVE = 0.24
"""The same up and down."""


@dataclass(frozen=True, slots=True)
class Find:
    """The best place of an object.

    `alike` is how near its area is to the ideal in all tones, `detail` how much better the ideal's details
    explain the picture than its mere colour would (-1 to 1), `contrast` how much less the band around is like
    the object than the object itself.
    """

    name: str
    colour: str
    x: float
    y: float
    size: float
    score: float
    alike: float
    detail: float
    contrast: float


def find(picture: np.ndarray, colours: Sequence[str], sizes: Sequence[float]) -> list[Find]:
    """Every object once, the best first."""
    search = _Search(reduced(picture, UNIT))
    found = [search.best(name, colours, sizes) for name in OBJECTS]
    return sorted(found, key=lambda one: -one.score)


class _Search:
    def __init__(self, small: np.ndarray) -> None:
        self.small = np.pad(small, ((EDGE, EDGE), (EDGE, EDGE), (0, 0)), mode="edge")
        self.shape = self.small.shape[:2]
        self._near: dict[RGB, np.ndarray] = {}
        self._waves: dict[RGB, np.ndarray] = {}

    def best(self, name: str, colours: Sequence[str], sizes: Sequence[float]) -> Find:
        scores = np.stack([self._scores(name, colour, tuple(sizes)) for colour in colours])
        high, wide = self.shape
        aside, above = round(ASIDE * UNIT), round(ABOVE * UNIT)
        top, left = high // 2 - above, wide // 2 - aside
        window = scores[:, :, top : top + 2 * above + 1, left : left + 2 * aside + 1]
        colour, size, y, x = map(int, np.unravel_index(window.argmax(), window.shape))
        return self._find(name, colours[colour], sizes[size], top + y, left + x, float(window.max()))

    def _scores(self, name: str, colour: str, sizes: tuple[float, ...]) -> np.ndarray:
        """Sizes x height x width: with the object's middle at that pixel."""
        used = template(name, UNIT * sizes[0]).tones
        pictures = np.stack([self._wave(tones(colour)[tone]) for tone in used])
        waves = (pictures * _kernels(name, sizes, self.shape)).sum(axis=1)
        found: np.ndarray = np.fft.irfft2(waves, self.shape)
        return found

    def _wave(self, tone: RGB) -> np.ndarray:
        if tone not in self._waves:
            self._waves[tone] = np.fft.rfft2(self._closeness(tone))
        return self._waves[tone]

    def _closeness(self, tone: RGB) -> np.ndarray:
        if tone not in self._near:
            self._near[tone] = closeness(self.small, tone, REACH)
        return self._near[tone]

    def _find(self, name: str, colour: str, size: float, y: int, x: int, score: float) -> Find:
        ideal = template(name, UNIT * size)
        half = ideal.inside.shape[1] // 2
        spread = half + 1
        fills = [tones(colour)[tone] for tone in ideal.tones]
        near = np.pad(
            np.stack([self._closeness(fill) for fill in fills]), ((0, 0), (spread,) * 2, (spread,) * 2)
        )
        y0, x0 = y + spread, x + spread
        crop = near[:, y0 - half : y0 + half + 1, x0 - half : x0 + half + 1]
        own = np.linalg.norm(np.subtract(fills, fills[0]), axis=1)
        other = np.minimum(own / REACH, 1)[:, None, None] * ideal.inside
        detail = float((other * (crop - crop[:1])).sum() / max(other.sum(), 1e-6))
        alike = float((ideal.inside * crop).sum() / ideal.inside.sum())
        around = float((ideal.around * crop).sum() / ideal.around.sum())
        high, wide = self.shape
        return Find(
            name,
            colour,
            (x + 0.5 - wide / 2) / UNIT,
            (y + 0.5 - high / 2) / UNIT,
            size,
            score,
            alike,
            detail,
            alike - around,
        )


@cache
def _kernels(name: str, sizes: tuple[float, ...], shape: tuple[int, int]) -> np.ndarray:
    """Sizes x tones x the transform of a template's weights, ready to be multiplied with a picture's."""
    found = [np.conj(np.fft.rfft2(_centred(_weights(template(name, UNIT * s)), shape))) for s in sizes]
    return np.stack(found).astype(np.complex64)


def _weights(ideal: Template) -> np.ndarray:
    inside = ideal.inside.copy()
    inside[1:] *= DETAIL
    weights: np.ndarray = inside / inside.sum() - AROUND * ideal.around / ideal.around.sum()
    return weights


def _centred(weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The middle at (0, 0), the rest around the corners."""
    half = weights.shape[1] // 2
    canvas = np.zeros((len(weights), *shape), dtype=np.float32)
    rows = (np.arange(weights.shape[1]) - half) % shape[0]
    columns = (np.arange(weights.shape[2]) - half) % shape[1]
    for layer, part in zip(canvas, weights, strict=True):
        np.add.at(layer, np.ix_(rows, columns), part)
    return canvas
