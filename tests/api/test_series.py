"""Requests that are several jobs, looked at together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from diffusionapi.api import series
from diffusionapi.core.events import Cancelled, Failed, Failure, Finished, Picture, Started
from diffusionapi.jobs.memory import MemoryJobStore
from tests.factories import a_ticket

if TYPE_CHECKING:
    from diffusionapi.api.series import Series
    from diffusionapi.core.events import Event

PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)
BROKE = Failed(Failure("x", "It broke"))


def a_series(*ends: Event | None) -> Series:
    """One job for each end, in their order; of None it runs still."""
    store, tickets = MemoryJobStore(), [a_ticket() for _ in ends]
    first = replace(tickets[0], payload={"jobs": [one.id for one in tickets]})
    store.submit_all([first, *tickets[1:]], limit=9)
    for end in ends:
        claim = store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        if end is not None:
            claim.record(end)
            claim.release()
    return series.look(store, first)


def test_it_is_over_when_its_last_job_is() -> None:
    assert not a_series(Finished(PICTURE), None).over
    ended = a_series(Finished(PICTURE), BROKE)
    assert ended.over
    assert [place for place, _ in ended.done] == [0]
    first, last = ended.known
    assert (ended.started_at, ended.ended_at) == (first.started_at, last.ended_at)


def test_what_went_wrong_is_said_once() -> None:
    assert a_series(Finished(PICTURE), None).problem is None
    assert a_series(BROKE, Cancelled(), BROKE).problem == "It broke; The request was cancelled"


def test_jobs_that_nobody_knows_any_more_are_left_out() -> None:
    ticket = replace(a_ticket(), payload={"jobs": ["gone", "gone-too"]})
    found = series.look(MemoryJobStore(), ticket)
    assert (found.jobs, found.known, found.over, found.done) == ([None, None], [], True, [])
    assert (found.started_at, found.ended_at, found.problem) == (None, None, None)
