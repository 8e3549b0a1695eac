"""Drawings in a unit box, and how they get onto a picture at any place and size."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, radians, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from PIL import ImageDraw

Point = tuple[float, float]
RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A polygon, or the upright oval between two corners, in one tone (see `tones.py`)."""

    tone: str
    points: tuple[Point, ...]
    is_oval: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """Parts from back to front. The larger side of the bounding box is 1, its middle is (0, 0)."""

    parts: tuple[Part, ...]
    width: float
    height: float

    def draw(
        self, draw: ImageDraw.ImageDraw, fills: Mapping[str, RGB | int], x: float, y: float, size: float
    ) -> None:
        """With the middle at (x, y). Pillow's outlines include their last pixel: hence the half and one."""
        x, y, scale = x - 0.5, y - 0.5, max(size - 1, 0)
        for part in self.parts:
            points = [(x + scale * a, y + scale * b) for a, b in part.points]
            if part.is_oval:
                draw.ellipse(points, fills[part.tone])
            else:
                draw.polygon(points, fills[part.tone])


def drawing(*parts: Part) -> Drawing:
    """From parts in any coordinates with y down."""
    points = [point for part in parts for point in part.points]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    side = max(right - left, bottom - top)
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2

    def fitted(part: Part) -> Part:
        points = tuple(((x - middle_x) / side, (y - middle_y) / side) for x, y in part.points)
        return Part(part.tone, points, part.is_oval)

    return Drawing(tuple(map(fitted, parts)), (right - left) / side, (bottom - top) / side)


def poly(tone: str, *points: Point) -> Part:
    return Part(tone, points)


def box(tone: str, left: float, top: float, right: float, bottom: float) -> Part:
    return Part(tone, ((left, top), (right, top), (right, bottom), (left, bottom)))


def oval(tone: str, x: float, y: float, across: float, down: float | None = None) -> Part:
    """Around (x, y) with the radii `across` and `down`."""
    down = across if down is None else down
    return Part(tone, ((x - across, y - down), (x + across, y + down)), is_oval=True)


def turned_oval(tone: str, x: float, y: float, across: float, down: float, degrees: float) -> Part:
    """Turned clockwise."""
    c, s = cos(radians(degrees)), sin(radians(degrees))
    arms = ((across * a, down * b) for a, b in circle_points(28))
    return Part(tone, tuple((x + a * c - b * s, y + a * s + b * c) for a, b in arms))


def arch(tone: str, left: float, top: float, right: float, bottom: float) -> Part:
    """A gate: a box with a half circle for its upper edge."""
    radius = (right - left) / 2
    bow = ((left + radius * (1 - cos(pi * i / 12)), top + radius * (1 - sin(pi * i / 12))) for i in range(13))
    return Part(tone, ((left, bottom), *bow, (right, bottom)))


def mirrored(*parts: Part, around: float = 50) -> tuple[Part, ...]:
    """The parts and their mirror images."""
    return (*parts, *(Part(p.tone, tuple(_sorted(p, around)), p.is_oval) for p in parts))


def _sorted(part: Part, around: float) -> Iterable[Point]:
    points = [(2 * around - x, y) for x, y in part.points]
    if not part.is_oval:
        return points
    (right, top), (left, bottom) = points
    return ((left, top), (right, bottom))


def circle_points(count: int) -> list[Point]:
    """On the unit circle, clockwise from the top."""
    return [(sin(2 * pi * i / count), -cos(2 * pi * i / count)) for i in range(count)]
