"""Teaches the recogniser: `python -m training.picturebook.judging.recogniser_training`, a quarter of an hour.

What is shown to it is drawn with a trembling hand, smeared and stained, and often is no object at all: half
of one on half of another, one in shreds, an outline without an inside, a blur, a shape, an empty scene.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from training.picturebook.judging.recogniser import CLASSES, FILE, SIDE, Recogniser
from training.picturebook.siblings.course import Course, learn, unfinished
from training.picturebook.world.paint import paint, silhouette
from training.picturebook.world.plan import COLOURS, OBJECTS, random_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from training.picturebook.world.plan import Plan

DRAWN = 192
BATCH = 48
NONE = 0.4
"""Share of pictures that show no object."""
TREMBLE = ((5, 0.03), (10, 0.02), (24, 0.008))
"""How a drawing is bent: points of a grid, and how far they move at most, in shares of a side."""


def of_an_object(rng: Random) -> Plan:
    while not ((plan := random_plan(rng)).things and plan.things[0].name in OBJECTS):
        pass
    return plan


def _drawn(plan: Plan) -> np.ndarray:
    return paint(plan, DRAWN, DRAWN)


def _box(plan: Plan) -> tuple[int, int, int]:
    """Left, top and side of the subject."""
    thing = plan.things[0]
    side = round(DRAWN * thing.size)
    return round(DRAWN / 2 + DRAWN * thing.x - side / 2), round(DRAWN / 2 + DRAWN * thing.y - side / 2), side


def halves(rng: Random) -> np.ndarray:
    plan = of_an_object(rng)
    other = rng.choice([one for one in OBJECTS if one != plan.things[0].name])
    one, two = _drawn(plan), _drawn(replace(plan, things=(replace(plan.things[0], name=other),)))
    left, top, side = _box(plan)
    across = rng.random() < 0.5
    middle = (top if across else left) + side // 2
    if across:
        return np.concatenate([one[:middle], two[middle:]])
    return np.concatenate([one[:, :middle], two[:, middle:]], axis=1)


def _shreds(rng: Random) -> np.ndarray:
    plan = of_an_object(rng)
    picture = _drawn(plan).copy()
    left, top, side = _box(plan)
    left, top = max(left, 0), max(top, 0)
    part = min(side, DRAWN - left, DRAWN - top) // 3
    corners = [(top + part * (i // 3), left + part * (i % 3)) for i in range(9)]
    pieces = [picture[y : y + part, x : x + part].copy() for y, x in corners]
    rng.shuffle(pieces)
    for (y, x), piece in zip(corners, pieces, strict=True):
        picture[y : y + part, x : x + part] = piece
    return picture


def _flat(rng: Random) -> np.ndarray:
    """An outline filled with its colour, or a disc of its size."""
    plan = of_an_object(rng)
    image, thing = Image.fromarray(_drawn(replace(plan, things=()))), plan.things[0]
    left, top, side = _box(plan)
    if rng.random() < 0.6:
        image.paste(COLOURS[thing.colour], (left, top), Image.fromarray(silhouette(thing.name, side)))
    else:
        ImageDraw.Draw(image).ellipse((left, top, left + side, top + side), COLOURS[thing.colour])
    return np.asarray(image)


def _blurred(rng: Random) -> np.ndarray:
    image = Image.fromarray(_drawn(of_an_object(rng)))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(DRAWN / 512 * rng.uniform(7, 14))))


def _without(rng: Random) -> np.ndarray:
    """A shape, or a place where nothing stands."""
    plan = random_plan(rng)
    if plan.things and plan.things[0].name in OBJECTS:
        plan = replace(plan, things=())
    return _drawn(plan)


NOTHING: tuple[Callable[[Random], np.ndarray], ...] = (halves, _shreds, _flat, _blurred, _without)


def example(rng: Random) -> tuple[np.ndarray, int]:
    """A drawing and its class."""
    if rng.random() < NONE:
        return rng.choice(NOTHING)(rng), CLASSES.index("none")
    plan = of_an_object(rng)
    image = Image.fromarray(_drawn(plan))
    soft = DRAWN / 512 * rng.uniform(0, 3.5)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(soft))), CLASSES.index(plan.things[0].name)


def bent(pictures: Tensor) -> Tensor:
    """As an unsteady hand would have drawn them."""
    count, side = len(pictures), pictures.shape[-1]
    line = torch.linspace(-1, 1, side)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).expand(count, -1, -1, -1).clone()
    for points, far in TREMBLE:
        strength = 2 * far * torch.rand(count, 1, 1, 1)
        moves = (torch.rand(count, 2, points, points) * 2 - 1) * strength
        smooth = functional.interpolate(moves, (side, side), mode="bicubic", align_corners=True)
        grid += smooth.permute(0, 2, 3, 1)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=True)


def stained(pictures: Tensor) -> Tensor:
    """With tones that are not quite right, here and there."""
    count, side = len(pictures), pictures.shape[-1]
    for points, far in ((6, 0.12), (24, 0.08), (side, 0.03)):
        strength = far * torch.rand(count, 1, 1, 1)
        stains = torch.randn(count, 3, points, points) * strength
        pictures = pictures + functional.interpolate(stains, (side, side), mode="bilinear")
    return pictures.clamp(0, 1)


def batch(rng: Random) -> tuple[Tensor, Tensor]:
    drawn, classes = zip(*(example(rng) for _ in range(BATCH)), strict=True)
    pictures = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2) / 255
    pictures = functional.interpolate(bent(pictures), (SIDE, SIDE), mode="area")
    return stained(pictures), torch.tensor(classes)


def main(steps: int = 1500) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = Recogniser()

    def loss(rng: Random) -> Tensor:
        pictures, classes = batch(rng)
        return functional.cross_entropy(network(pictures), classes)

    learn("recogniser", network, loss, Course(steps, 2e-3, 1e-4, seed=1), unfinished(FILE))
    save_file({key: one.half() for key, one in network.state_dict().items()}, FILE)


if __name__ == "__main__":
    main()
