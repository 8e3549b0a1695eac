"""From maps of joints and of ways between them to people, and to the skeletons that ControlNets know."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diffusionapi.engine.hints.plain import Pixels

JOINTS = 18
_LEAST_JOINT, _LEAST_WAY = 0.1, 0.05
_LOOKS = 10
"""Places between two joints at which it is looked whether the way is theirs."""
_LEAST_JOINTS, _LEAST_MEAN = 4, 0.4
"""A person has so many joints at least, of so high a score on average."""
LINKS = (
    ((1, 2), 12), ((1, 5), 20), ((2, 3), 14), ((3, 4), 16), ((5, 6), 22), ((6, 7), 24), ((1, 8), 0),
    ((8, 9), 2), ((9, 10), 4), ((1, 11), 6), ((11, 12), 8), ((12, 13), 10), ((1, 0), 28), ((0, 14), 30),
    ((14, 16), 34), ((0, 15), 32), ((15, 17), 36), ((2, 16), 18), ((5, 17), 26),
)  # fmt: skip
"""Pairs of joints, counted from the nose, and where the two maps of their way begin."""
_DRAWN = 17
"""The last two links, from shoulder to ear, only help to tell people apart."""
_HUES = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
    (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
    (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
_WIDTH = 4


@dataclass(frozen=True, slots=True)
class Joint:
    x: int
    y: int
    score: float


@dataclass(slots=True)
class Person:
    joints: dict[int, Joint]
    score: float
    count: int = 2


Link = tuple[Joint, Joint, float]


def joints_of(maps: Pixels) -> list[list[Joint]]:
    """Of each sort, the peaks of its map, smoothed so that one joint has one."""
    found = []
    for sort in range(JOINTS):
        sharp = np.ascontiguousarray(maps[:, :, sort], dtype=np.float64)
        smooth = np.asarray(cv2.GaussianBlur(sharp, (25, 25), 3, borderType=cv2.BORDER_REFLECT))
        around = np.pad(smooth, 1)
        peaks = smooth > _LEAST_JOINT
        for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
            peaks &= smooth >= around[down:, right:][: smooth.shape[0], : smooth.shape[1]]
        found.append([Joint(int(x), int(y), float(sharp[y, x])) for y, x in np.argwhere(peaks)])
    return found


def people_of(joints: list[list[Joint]], ways: Pixels, height: int) -> list[Person]:
    people: list[Person] = []
    for number, ((first, second), start) in enumerate(LINKS):
        for one, other, score in _links(joints[first], joints[second], ways[:, :, start : start + 2], height):
            if not _joined(people, (first, one), (second, other), score) and number < _DRAWN:
                mean = one.score + other.score + score
                people.append(Person({first: one, second: other}, mean))
    return [one for one in people if one.count >= _LEAST_JOINTS and one.score / one.count >= _LEAST_MEAN]


def _links(firsts: list[Joint], seconds: list[Joint], ways: Pixels, height: int) -> Iterator[Link]:
    """The best first, and each joint once."""
    rated = [
        (score, one, other)
        for one in firsts
        for other in seconds
        if (score := _agreement(one, other, ways, height)) is not None
    ]
    taken: set[int] = set()
    for score, one, other in sorted(rated, key=lambda link: link[0], reverse=True):
        if taken.isdisjoint((id(one), id(other))):
            taken |= {id(one), id(other)}
            yield one, other, score


def _agreement(one: Joint, other: Joint, ways: Pixels, height: int) -> float | None:
    """How well the ways between two joints lead from one to the other; less so over half the picture."""
    across, down = other.x - one.x, other.y - one.y
    length = max(math.hypot(across, down), 0.001)
    xs, ys = np.linspace(one.x, other.x, _LOOKS), np.linspace(one.y, other.y, _LOOKS)
    seen = ways[np.rint(ys).astype(int), np.rint(xs).astype(int)]
    along = seen[:, 0] * (across / length) + seen[:, 1] * (down / length)
    score = float(along.mean()) + min(0.5 * height / length - 1, 0)
    return score if np.count_nonzero(along > _LEAST_WAY) > 0.8 * _LOOKS and score > 0 else None


def _joined(people: list[Person], first: tuple[int, Joint], second: tuple[int, Joint], score: float) -> bool:
    """Whether the link belongs to somebody already there; one that belongs to two makes them one."""
    (start, one), (end, other) = first, second
    theirs = [each for each in people if each.joints.get(start) is one or each.joints.get(end) is other]
    if not theirs:
        return False
    owner = theirs[0]
    if len(theirs) > 1 and owner.joints.keys().isdisjoint(theirs[1].joints):
        owner.joints |= theirs[1].joints
        owner.count += theirs[1].count
        owner.score += theirs[1].score + score
        people.remove(theirs[1])
    elif len(theirs) > 1 or owner.joints.get(end) is not other:
        owner.joints[end] = other
        owner.count += 1
        owner.score += other.score + score
    return True


def drawn_people(people: Iterable[Person], height: int, width: int) -> Pixels:
    """Sticks of a colour for each link, with a dot for each joint, on black."""
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    for person in people:
        for ((first, second), _), hue in zip(LINKS[:_DRAWN], _HUES, strict=False):
            if first in person.joints and second in person.joints:
                _stick(canvas, person.joints[first], person.joints[second], hue)
        for sort, joint in person.joints.items():
            cv2.circle(canvas, (joint.x, joint.y), _WIDTH, _HUES[sort], thickness=-1)
    return canvas


def _stick(canvas: Pixels, one: Joint, other: Joint, hue: tuple[int, int, int]) -> None:
    across, down = one.x - other.x, one.y - other.y
    middle = (int((one.x + other.x) / 2), int((one.y + other.y) / 2))
    axes = (int(math.hypot(across, down) / 2), _WIDTH)
    angle = int(math.degrees(math.atan2(down, across)))
    outline = cv2.ellipse2Poly(middle, axes, angle, 0, 360, 1)
    cv2.fillConvexPoly(canvas, np.asarray(outline), [int(level * 0.6) for level in hue])
