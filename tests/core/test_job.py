from __future__ import annotations

import pytest

from diffusionapi.core.events import (
    Cancelled,
    Event,
    Failed,
    Failure,
    Finished,
    Phase,
    Picture,
    Queued,
    Saving,
    Started,
    Step,
)
from diffusionapi.core.job import RECENT, JobState, Progress

PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)


def after(*events: Event) -> Progress:
    progress = Progress()
    for second, event in enumerate(events):
        progress = progress.evolve(event, float(second))
    return progress


def test_a_job_goes_from_queued_to_done() -> None:
    progress = after(
        Started(1, "w"), Phase("generation"), Step(2, 4, 0.5), Saving(PICTURE), Finished(PICTURE)
    )
    assert progress.state is JobState.DONE
    assert (progress.phase, progress.fraction) == ("done", 1.0)
    assert (progress.started_at, progress.ended_at) == (0.0, 4.0)
    assert progress.picture == PICTURE


def test_a_failure_says_why() -> None:
    progress = after(Started(1, "w"), Failed(Failure("x", "It broke")))
    assert progress.state is JobState.FAILED
    assert progress.failure == Failure("x", "It broke")


@pytest.mark.parametrize("last", [Finished(PICTURE), Failed(Failure("x", "y")), Cancelled()])
@pytest.mark.parametrize("late", [Started(2, "w"), Queued("crashed")])
def test_an_ended_job_never_runs_again(last: Event, late: Event) -> None:
    ended = after(Started(1, "w"), last)
    with pytest.raises(ValueError, match="cannot go from"):
        ended.evolve(late, 9.0)


def test_a_waiting_job_cannot_finish_without_having_started() -> None:
    with pytest.raises(ValueError, match="from queued to done"):
        Progress().evolve(Finished(PICTURE), 0.0)


def test_crashes_and_interruptions_are_counted_apart() -> None:
    progress = after(
        Started(1, "w"),
        Queued("crashed"),
        Started(2, "w"),
        Queued("interrupted"),
        Started(3, "w"),
        Queued("crashed"),
    )
    assert (progress.crashes, progress.interruptions, progress.attempts) == (2, 1, 3)


def test_a_job_given_back_has_lost_no_attempt() -> None:
    assert after(Started(1, "w"), Queued("given back")).attempts == 0


def test_a_new_attempt_starts_from_nothing() -> None:
    progress = after(Started(1, "w"), Step(3, 4, 0.75), Saving(PICTURE), Queued("crashed"))
    assert (progress.fraction, progress.phase, progress.picture) == (0.0, "queued", None)


def test_events_are_numbered_and_the_last_ones_kept() -> None:
    progress = after(Started(1, "w"), *(Step(n, 200, n / 200) for n in range(1, 201)))
    assert progress.number == 201
    assert len(progress.recent) == RECENT
    assert [one.number for one in progress.after(199)] == [200, 201]
