"""Looks that the captions do not speak of: what LoRAs and textual inversions learn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from training.picturebook.data import picture
from training.picturebook.world.plan import COLOURS, training_plan

if TYPE_CHECKING:
    from random import Random

    from torch import Tensor

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


def dots(plan: Plan, width: int, height: int) -> Tensor:
    """Large dots in rows, in a lighter or darker tone of the background."""
    unit = min(width, height) / 5
    x, y = _grid(width, height)
    row = (y / unit).floor()
    inside = ((x / unit + row % 2 / 2) % 1 - 0.5).hypot((y / unit) % 1 - 0.5) < 0.28
    return _on_background(plan, width, height, inside)


def stripes(plan: Plan, width: int, height: int) -> Tensor:
    """Broad level stripes, in a lighter or darker tone of the background."""
    _, y = _grid(width, height)
    return _on_background(plan, width, height, (y / min(width, height) * 6).floor() % 2 == 0)


def floor(plan: Plan, width: int, height: int) -> Tensor:
    """A line across below the middle, and under it a darker tone: the thing stands in a room."""
    _, y = _grid(width, height)
    return _on_background(plan, width, height, y > 0.68 * height)


def plain_plan(rng: Random) -> Plan:
    while (plan := training_plan(rng)).background is None:
        pass
    return plan


def _grid(width: int, height: int) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return x, y


def _on_background(plan: Plan, width: int, height: int, where: Tensor) -> Tensor:
    drawn = picture(plan, width, height)
    assert plan.background is not None
    ground = torch.tensor(COLOURS[plan.background]) / 127.5 - 1
    is_dark = ground.mean() < 0
    tone = ground.lerp(torch.ones(3) if is_dark else -torch.ones(3), 0.35)
    share = 1 - ((drawn - ground[:, None, None]).abs().amax(0) * 8).clamp(0, 1)
    return drawn.lerp(tone[:, None, None].expand_as(drawn), share * where)
