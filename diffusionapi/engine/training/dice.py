"""Randomness by place: whatever is random at a step follows from the seed and the step's number.

So a training that goes on where it was stopped draws what it would have drawn, and nothing has to be kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    Item = TypeVar("Item")

START: Final = 0
PICTURES: Final = 1
CLASS_PICTURES: Final = 2
NOISE: Final = 3
"""What is drawn: the matrices that are begun with, the order of pictures, their noise and timesteps."""


def dice(seed: int, what: int, place: int = 0) -> torch.Generator:
    drawn = np.random.SeedSequence([seed, what, place]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(drawn[0]))


def drawn(items: Sequence[Item], seed: int, what: int, first: int, count: int) -> list[Item]:
    """From the first-th on, `count` of them, of an endless line: all once in some order, then all again."""
    found = []
    for place in range(first, first + count):
        turn, within = divmod(place, len(items))
        order = torch.randperm(len(items), generator=dice(seed, what, turn))
        found.append(items[int(order[within])])
    return found
