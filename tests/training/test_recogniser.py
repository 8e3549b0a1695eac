"""The network that says which object a picture shows, on drawings new to it and on what is no object."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from training.picturebook.judging import recogniser_training as lessons
from training.picturebook.judging.recogniser import CLASSES, SIDE, recognised

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

EACH = 32
HALVES = 0.4
"""Of two objects, one may be most of what is seen."""


def test_it_names_trembling_and_stained_drawings() -> None:
    rng = Random(2027)  # noqa: S311
    torch.manual_seed(2027)
    drawn, classes = zip(*(_of_an_object(rng) for _ in range(EACH)), strict=True)
    pictures = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2) / 255
    shown = (lessons.stained(lessons.bent(pictures)) * 255).byte().permute(0, 2, 3, 1).numpy()
    right = sum(recognised(one) == CLASSES[name] for one, name in zip(shown, classes, strict=True))
    assert right >= 0.9 * EACH


def _of_an_object(rng: Random) -> tuple[np.ndarray, int]:
    while (found := lessons.example(rng))[1] == CLASSES.index("none"):
        pass
    return found


@pytest.mark.parametrize("kind", lessons.NOTHING)
def test_it_names_nothing_that_is_none(kind: Callable[[Random], np.ndarray]) -> None:
    rng = Random(2028)  # noqa: S311
    named = sum(recognised(kind(rng)) is not None for _ in range(EACH))
    assert named <= (HALVES if kind is lessons.halves else 0.12) * EACH


def test_a_picture_of_any_shape_is_looked_at_in_its_middle() -> None:
    empty = np.full((2 * SIDE, 3 * SIDE, 3), 200, dtype=np.uint8)
    assert recognised(empty) is None
