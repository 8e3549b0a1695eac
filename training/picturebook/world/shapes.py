"""The plain shapes."""

from __future__ import annotations

from math import cos, pi, sin

from training.picturebook.world.pen import Part, Point, box, circle_points, drawing, oval, poly

HOLE = 0.5
"""Radius of a ring's hole in shares of the ring's."""

WAIST = 0.46
"""Radius of a star's inner corners in shares of the outer ones'."""

ARM = 1 / 3
"""Width of a cross's arms in shares of the cross's."""


def _star() -> Part:
    rim = circle_points(10)
    rim[1::2] = [(WAIST * x, WAIST * y) for x, y in rim[1::2]]
    return poly("colour", *rim)


def _heart() -> Part:
    """The well-known curve of sines and cosines."""

    def point(t: float) -> Point:
        return 16 * sin(t) ** 3, -(13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t))

    return poly("colour", *(point(2 * pi * i / 64) for i in range(64)))


def _ring() -> Part:
    """One polygon: around outside, a step inwards, back around inside."""
    round_ = circle_points(96)
    round_.append(round_[0])
    return poly("colour", *round_, *((HOLE * x, HOLE * y) for x, y in reversed(round_)))


def _cross() -> Part:
    a = ARM
    corner = [(a, -a), (a, -1.0), (-a, -1.0)]
    turned = [[(x, y), (y, -x), (-x, -y), (-y, x)] for x, y in corner]
    return poly("colour", *(turned[i][quarter] for quarter in range(4) for i in range(3)))


SHAPE_DRAWINGS = {
    "circle": drawing(oval("colour", 0, 0, 1)),
    "square": drawing(box("colour", 0, 0, 1, 1)),
    "triangle": drawing(poly("colour", (0, 0.87), (0.5, 0), (1, 0.87))),
    "star": drawing(_star()),
    "heart": drawing(_heart()),
    "diamond": drawing(poly("colour", (0, 0.5), (0.38, 0), (0.76, 0.5), (0.38, 1))),
    "ring": drawing(_ring()),
    "cross": drawing(_cross()),
}
