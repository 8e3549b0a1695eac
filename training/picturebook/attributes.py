"""What a caption says, as numbers: the text encoder learns to tell them before it guides a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from training.picturebook.networks import WIDTH
from training.picturebook.world.plan import COLOURS, EXTRAS, GROUNDS, OBJECTS, SHAPES, TIMES, size_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.picturebook.world.plan import Plan

_SUBJECTS = (None, *SHAPES, *OBJECTS)
_COLOURS = (None, *COLOURS)
_CHOICES: tuple[tuple[object, ...], ...] = (
    _SUBJECTS,
    _COLOURS,
    _SUBJECTS,
    _COLOURS,
    _COLOURS,
    (None, *GROUNDS),
    (None, *TIMES),
    (None, "small", "big"),
    *((False, True) for _ in EXTRAS),
)


def labels(plan: Plan) -> list[int]:
    """One number per choice: first and second subject and colour, background, ground, time, size, extras."""
    first, second = ([*plan.things, None, None])[:2]
    said: list[object] = [
        first and first.name,
        first and first.colour,
        second and second.name,
        second and second.colour,
        plan.background,
        plan.ground,
        plan.time,
        first and size_word(first),
        *(extra in plan.extras for extra in EXTRAS),
    ]
    return [choice.index(value) for choice, value in zip(_CHOICES, said, strict=True)]


class Head(nn.Module):
    """Reads the attributes off the last token's state; thrown away after the training."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = [len(choice) for choice in _CHOICES]
        self.read = nn.Linear(WIDTH, sum(self.sizes))

    def forward(self, pooled: torch.Tensor) -> Sequence[torch.Tensor]:
        answers: Sequence[torch.Tensor] = self.read(pooled).split(self.sizes, dim=1)
        return answers

    def loss(self, pooled: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        losses = [functional.cross_entropy(a, w) for a, w in zip(self(pooled), wanted.T, strict=True)]
        return torch.stack(losses).mean()

    @torch.no_grad()
    def right(self, pooled: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """The share of right answers to each choice."""
        return torch.stack(
            [(a.argmax(1) == w).float().mean() for a, w in zip(self(pooled), wanted.T, strict=True)]
        )
