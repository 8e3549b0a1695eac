"""What a picture shows, chosen among all the world has, and only then held against what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.picturebook.judging import objects, outlines, patches
from training.picturebook.judging.pixels import reduced
from training.picturebook.judging.places import place
from training.picturebook.judging.recogniser import recognised
from training.picturebook.world.paint import silhouette
from training.picturebook.world.plan import COLOURS, SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.picturebook.judging.objects import Find
    from training.picturebook.world.plan import Plan

QUESTIONS = ("colour", "background", "time", "ground", "object", "shape")

ALIKE = 0.5
"""An object must be this near to the ideal in all its area; true drawings are above 0.65."""
VAGUE = 0.4
"""The same for what at least shows its colour by how it is made up."""
DETAIL = 0.1
"""Its eyes, doors and shades must explain the picture so much better than a patch of its colour would.
Patches of an object's very outline are below -0.2, true drawings above 0.3."""
CONTRAST = 0.2
"""It must stand out: a forest is no green tree."""


@dataclass(frozen=True, slots=True)
class Seen:
    """None: nothing of the kind is to be seen, or nobody looked. `overlap` is that of the best outline,
    `exact` the object whose ideal drawing fits line by line."""

    colour: str | None = None
    background: str | None = None
    time: str | None = None
    ground: str | None = None
    object: str | None = None
    shape: str | None = None
    overlap: float | None = None
    exact: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`right` answers the questions that the plan asks, in the order of `QUESTIONS`."""

    seen: Seen
    right: dict[str, bool]
    exact: bool | None = None
    """Whether the object is drawn as its ideal is; None where none was asked for."""

    @property
    def wrong(self) -> list[str]:
        return [question for question, right in self.right.items() if not right]

    @property
    def mistakes(self) -> str:
        """What was seen instead."""
        return ", ".join(f"{question} {getattr(self.seen, question) or 'none'}" for question in self.wrong)


def judge(picture: np.ndarray, plan: Plan) -> Verdict:
    """Of `plan`, the seeing only knows whether it is a scene, a shape or an object on a plain ground."""
    return against(_seen(picture, plan), plan)


def against(seen: Seen, plan: Plan) -> Verdict:
    asked = {"background": plan.background, "time": plan.time, "ground": plan.ground}
    if plan.things:
        thing = plan.things[0]
        asked |= {"colour": thing.colour, "shape" if thing.name in SHAPES else "object": thing.name}
    if plan.ground == "space":
        del asked["time"]
    wanted = {question: asked.get(question) for question in QUESTIONS}
    return Verdict(
        seen,
        {one: getattr(seen, one) == value for one, value in wanted.items() if value is not None},
        seen.exact == asked["object"] if "object" in asked else None,
    )


def _seen(picture: np.ndarray, plan: Plan) -> Seen:
    if plan.background is None:
        return scene(picture) if plan.things else Seen(None, None, *place(picture))
    return shape(picture) if plan.things[0].name in SHAPES else plain_object(picture)


def shape(picture: np.ndarray) -> Seen:
    small = reduced(picture, outlines.UNIT)
    background, tone = outlines.background(small)
    mask = outlines.mask(small, tone)
    name, overlap = outlines.shape(mask)
    if outlines.softness(picture, mask) > outlines.SOFT:
        name = None
    return Seen(outlines.colour(small[mask], background), background, shape=name, overlap=overlap)


def plain_object(picture: np.ndarray) -> Seen:
    small = reduced(picture, outlines.UNIT)
    background, tone = outlines.background(small)
    mask = outlines.mask(small, tone)
    colour = outlines.colour(small[mask], background)
    sure = None
    if colour is not None and outlines.softness(picture, mask) <= outlines.SOFT:
        sure = _sure(objects.find(picture, (colour,), objects.SIZES))
    return Seen(colour, background, object=recognised(picture), exact=sure.name if sure else None)


def scene(picture: np.ndarray) -> Seen:
    time, ground = place(picture)
    found = objects.find(picture, tuple(COLOURS), objects.SCENE_SIZES)
    sure = _sure(found)
    likely = sure or _sure(found, VAGUE)
    colour = likely.colour if likely else patches.colour(picture)
    if sure and outlines.softness(picture, _mask(picture, sure)) > outlines.SOFT:
        sure = None
    return Seen(colour, None, time, ground, recognised(picture), exact=sure.name if sure else None)


def _sure(found: Sequence[Find], alike: float = ALIKE) -> Find | None:
    """The first that is more than a patch of colour."""
    for one in found:
        if one.alike >= alike and one.detail >= DETAIL and one.contrast >= CONTRAST:
            return one
    return None


def _mask(picture: np.ndarray, found: Find) -> np.ndarray:
    """The ideal's, where it was found."""
    high, wide = picture.shape[:2]
    unit = min(high, wide)
    side = round(found.size * unit)
    top, left = (
        round(middle - side / 2) for middle in (high / 2 + found.y * unit, wide / 2 + found.x * unit)
    )
    mask = np.zeros((high + 2 * unit, wide + 2 * unit), dtype=bool)
    mask[top + unit : top + unit + side, left + unit : left + unit + side] = silhouette(found.name, side)
    return mask[unit : unit + high, unit : unit + wide]
