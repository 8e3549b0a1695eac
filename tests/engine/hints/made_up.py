"""Weights of a network that follow from the names of its tensors, so that anybody can make the same."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor


def tensor(name: str, shape: Sequence[int]) -> Tensor:
    """Convolutions that keep the size of signals, and norms that change it a little."""
    dice = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        values = dice.uniform(0.5, 1.5, shape)
    elif len(shape) == 4:
        loud = 0.02 if "projection" in name else 2**0.5
        values = dice.normal(0, loud / np.sqrt(np.prod(shape[1:])), shape)
    else:
        values = dice.normal(0, 0.1, shape)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def save(shapes: Mapping[str, Sequence[int]], file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: tensor(name, shape) for name, shape in shapes.items()}, file)
    return file


def skeleton_maps(people: Sequence[Any], height: int, width: int, links: Any) -> tuple[Tensor, Tensor]:
    """What OpenPose's network would say of people whose joints are known: the ways between them, and those.

    `links` are pairs of joints, and the first of the two maps of their way.
    """
    dice = np.random.default_rng(5)
    joints, ways = (dice.normal(0, 0.02, (many, height, width)) for many in (19, 38))
    down, across = np.mgrid[:height, :width]
    for places in people:
        for sort, (x, y) in enumerate(places):
            joints[sort] = np.maximum(joints[sort], np.exp(-((across - x) ** 2 + (down - y) ** 2) / 2))
        for (one, other), start in links:
            (x, y), (x2, y2) = places[one], places[other]
            length = max(float(np.hypot(x2 - x, y2 - y)), 1e-3)
            right, lower = (x2 - x) / length, (y2 - y) / length
            along = (across - x) * right + (down - y) * lower
            off = np.abs((across - x) * lower - (down - y) * right)
            near = (along >= -1) & (along <= length + 1) & (off < 1.2)
            ways[start][near], ways[start + 1][near] = right, lower
    return tuple(torch.from_numpy(maps.astype(np.float32))[None] for maps in (ways, joints))  # type: ignore[return-value]
