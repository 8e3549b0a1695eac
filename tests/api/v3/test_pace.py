"""How long a client is told that it will take."""

from __future__ import annotations

import pytest

from diffusionapi.api.v3.pace import Pace
from diffusionapi.core.events import Failed, Failure, Finished, Picture, Started, Step
from diffusionapi.core.job import Progress

PICTURE = Picture("a.png", "png", 64, 64, None, 1, "fake", 1.5, 0, 0)


def took(seconds: float) -> Progress:
    return Progress().evolve(Started(1, "w"), 100.0).evolve(Finished(PICTURE), 100.0 + seconds)


def test_it_is_the_mean_of_the_pictures_of_late_each_counted_once() -> None:
    pace = Pace()
    for name, seconds in (("a", 2.0), ("b", 4.0), ("b", 4.0)):
        pace.note(name, took(seconds))
    assert pace.usual == 3.0
    for number in range(20):
        pace.note(str(number), took(7.0))
    assert pace.usual == 7.0


def test_what_failed_says_nothing() -> None:
    pace = Pace()
    before = pace.usual
    failed = Progress().evolve(Started(1, "w"), 100.0).evolve(Failed(Failure("x", "y")), 900.0)
    pace.note("a", failed)
    assert pace.usual == before


def test_who_waits_is_told_of_those_before() -> None:
    pace = Pace()
    pace.note("a", took(4.0))
    assert pace.left(Progress(), 1, 0.0) == 8.0
    assert pace.left(Progress(), 3, 0.0) == 16.0


def test_who_runs_is_told_by_how_fast_it_runs() -> None:
    pace = Pace()
    pace.note("a", took(4.0))
    began = Progress().evolve(Started(1, "w"), 100.0)
    assert pace.left(began, None, 101.0) == 4.0
    half = began.evolve(Step(5, 10, 0.5), 110.0)
    assert pace.left(half, None, 110.0) == pytest.approx(10.0)
    assert pace.left(took(3.0), None, 0.0) == 0.0
