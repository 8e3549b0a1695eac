from __future__ import annotations

import torch

from diffusionapi.engine.training.dice import NOISE, PICTURES, dice, drawn


def test_what_is_drawn_follows_from_seed_and_place_alone() -> None:
    def numbers(seed: int, what: int, place: int) -> list[float]:
        return torch.rand(3, generator=dice(seed, what, place)).tolist()

    assert numbers(1, NOISE, 5) == numbers(1, NOISE, 5)
    different = {
        tuple(numbers(*one)) for one in [(1, NOISE, 5), (2, NOISE, 5), (1, PICTURES, 5), (1, NOISE, 6)]
    }
    assert len(different) == 4


def test_every_item_comes_once_in_each_turn_in_changing_order() -> None:
    line = drawn("abcde", 3, PICTURES, 0, 50)
    turns = [line[first : first + 5] for first in range(0, 50, 5)]
    assert all(sorted(turn) == list("abcde") for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 3


def test_the_line_is_the_same_wherever_one_begins() -> None:
    whole = drawn("abc", 3, PICTURES, 0, 20)
    assert drawn("abc", 3, PICTURES, 7, 5) == whole[7:12]
