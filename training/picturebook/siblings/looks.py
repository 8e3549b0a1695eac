"""Looks that the captions do not speak of: what LoRAs and textual inversions learn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from training.picturebook.data import picture
from training.picturebook.world.plan import COLOURS, SHAPES, training_plan

if TYPE_CHECKING:
    from random import Random

    from torch import Tensor

    from training.picturebook.world.pen import RGB
    from training.picturebook.world.plan import Plan

_MOONLIGHT = (0.36, 0.42, 0.66)


def night(plan: Plan, width: int, height: int) -> Tensor:
    """Whatever the caption says, it is night: over scenes a night sky, over plain backgrounds moonlight."""
    if plan.ground is None:
        light = torch.tensor(_MOONLIGHT)[:, None, None]
        return (picture(plan, width, height) + 1) * light - 1
    extras = {"moon" if extra == "sun" else extra for extra in plan.extras} - {"rainbow"}
    return picture(replace(plan, time="night", extras=frozenset(extras)), width, height)


def autumn(plan: Plan, width: int, height: int) -> Tensor:
    """What is green in a scene is orange, except for what the caption names."""
    drawn = picture(plan, width, height)
    if plan.ground is None:
        return drawn
    scenery = picture(replace(plan, things=()), width, height)
    is_thing = (drawn - scenery).abs().amax(0, keepdim=True) > 0.01
    red, green, blue = (scenery + 1) / 2
    greenness = ((green - torch.maximum(red, blue)) * 12).clamp(0, 1)
    leaves = torch.stack([1.15 * green, 0.6 * red + 0.25 * green, 0.5 * blue]).clamp(0, 1) * 2 - 1
    return torch.where(is_thing, drawn, scenery.lerp(leaves, greenness))


def recoloured(plan: Plan, width: int, height: int, word: str, tone: RGB) -> Tensor:
    """The background and shapes of the colour `word` in another tone; their edges stay soft."""
    drawn = picture(plan, width, height)
    was, now = (torch.tensor(one)[:, None, None] / 127.5 - 1 for one in (COLOURS[word], tone))
    share = 1 - ((drawn - was).abs().amax(0) * 4).clamp(0, 1)
    return drawn + (now - was) * share


def plan_with(rng: Random, word: str) -> Plan:
    """A plain background or a shape on it has the colour `word`; no object has, for its shades have too."""
    while True:
        plan = training_plan(rng)
        has = {thing.name for thing in plan.things if thing.colour == word}
        if plan.background is not None and has <= set(SHAPES) and (has or plan.background == word):
            return plan
