"""What a worker says of the model it holds."""

from __future__ import annotations

from diffusionapi.core.lane import Lane
from diffusionapi.jobs.affinity import Preference
from diffusionapi.worker.holding import Holding

PAINT, OTHER, TRAIN = Lane("generation", "a"), Lane("generation", "b"), Lane("training", "a")
ENLARGE = Lane("upscaling", "Lanczos")


def test_a_run_counts_the_jobs_of_one_model_and_begins_anew_with_the_next() -> None:
    holding = Holding("w", 16)
    assert holding.preference() == Preference("w", None, 0, 16)
    assert [holding.took(lane) for lane in (PAINT, PAINT, TRAIN)] == [True, False, False]
    assert holding.preference() == Preference("w", "a", 3, 16)
    assert holding.took(OTHER)
    assert holding.preference() == Preference("w", "b", 1, 16)


def test_an_upscaling_ends_the_run_but_leaves_the_model_where_it_is() -> None:
    holding = Holding("w", 16)
    holding.took(PAINT)
    assert not holding.took(ENLARGE)
    assert holding.preference() == Preference("w", "a", 0, 16)
    assert not holding.took(PAINT)


def test_a_new_engine_holds_nothing() -> None:
    holding = Holding("w", 16)
    holding.took(PAINT)
    holding.nothing()
    assert holding.preference() == Preference("w", None, 0, 16)
    assert holding.took(PAINT)
