"""Which lane a worker is sent to."""

from __future__ import annotations

from diffusionapi.core.lane import Lane
from diffusionapi.jobs.affinity import LaneState, Preference, choose

NOW = 1000.0


def a_lane(
    model: str, *, waiting: int = 1, age: float = 1.0, workers: int = 0, priority: int = 0
) -> LaneState:
    return LaneState(Lane("generation", model, priority), waiting, NOW - age, workers)


def chosen(*lanes: LaneState, model: str | None = "held", streak: int = 1, stay: int = 4) -> str | None:
    lane = choose(lanes, Preference("w", model, streak, stay), NOW)
    return lane.model if lane else None


def test_there_is_nothing_to_choose_where_nothing_waits() -> None:
    assert chosen() is None
    assert chosen(a_lane("held", waiting=0), a_lane("other", waiting=0)) is None


def test_a_worker_stays_with_its_model_however_much_waits_elsewhere() -> None:
    assert chosen(a_lane("other", waiting=500, age=600), a_lane("held"), streak=3) == "held"


def test_its_run_is_over_after_so_many_jobs() -> None:
    assert chosen(a_lane("other", age=2), a_lane("held"), streak=4) == "other"


def test_it_goes_on_after_its_run_while_nothing_else_waits() -> None:
    assert chosen(a_lane("other", waiting=0, age=600), a_lane("held"), streak=400) == "held"


def test_what_is_more_urgent_ends_a_run_and_goes_before_everything() -> None:
    urgent = a_lane("urgent", age=0.1, workers=9, priority=1)
    assert chosen(a_lane("held"), urgent, a_lane("other", waiting=500, age=600)) == "urgent"


def test_a_run_goes_on_among_what_is_equally_urgent() -> None:
    assert chosen(a_lane("other", age=600, priority=1), a_lane("held", priority=1)) == "held"
    assert chosen(a_lane("other", age=600), a_lane("held", priority=-1)) == "other"


def test_a_worker_that_holds_nothing_goes_where_the_pressure_is_largest() -> None:
    assert chosen(a_lane("young", age=1), a_lane("old", age=2), model=None) == "old"
    assert chosen(a_lane("many", waiting=3), a_lane("few", waiting=2), model=None) == "many"
    assert chosen(a_lane("served", workers=1), a_lane("left", workers=0), model=None) == "left"


def test_a_rare_model_gets_its_turn_before_a_popular_one_that_has_workers() -> None:
    popular = a_lane("popular", waiting=20, age=10, workers=12)
    assert chosen(popular, a_lane("rare", age=4), model=None) == "popular"
    assert chosen(popular, a_lane("rare", age=6), model=None) == "rare"


def test_all_that_needs_the_held_model_belongs_to_the_run_and_the_oldest_goes_first() -> None:
    training = LaneState(Lane("training", "held"), 1, NOW - 5, 0)
    lane = choose([a_lane("held", waiting=9), training], Preference("w", "held", 1, 4), NOW)
    assert lane == training.lane
