"""Holders that die, or are taken for dead and come back, and jobs that are given up for that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from diffusionapi.core.events import Failed, Failure, Finished, Picture, Queued, Saving, Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.errors import BrokenModel, EngineDied, HoldLost, JobEnded, StorageUnavailable, UnknownJob
from diffusionapi.jobs.redis.store import RedisJobStore
from tests.factories import a_ticket
from tests.redis_server import RedisServer
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffusionapi.jobs.store import Claim

    Opened = Callable[[], RedisJobStore]

pytestmark = pytest.mark.slow

PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)


def start(store: RedisJobStore) -> Claim:
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    return claim


def freeze(store: RedisJobStore) -> None:
    """As when its machine is gone, or stands still: it says no more that it lives."""
    store._keeper.stop()  # noqa: SLF001


def claimed_within(store: RedisJobStore, seconds: float) -> Claim:
    """As a worker claims: it sleeps on the pulse, and looks when that changes."""
    deadline = time.monotonic() + seconds
    while True:
        pulse = store.pulse()
        if claim := store.claim():
            return claim
        assert time.monotonic() < deadline, f"nothing to claim within {seconds} s"
        store.wait(deadline - time.monotonic(), since=pulse)


def test_the_job_of_a_dead_holder_is_had_again_at_its_old_place_and_that_of_a_living_one_is_not(
    opened: Opened,
) -> None:
    dying, living, idle = opened(), opened(), opened()
    lost, kept = (living.submit(a_ticket(), limit=10) for _ in range(2))
    old = start(dying)
    held = start(living)
    assert (old.ticket.id, held.ticket.id) == (lost, kept)
    old.record(Step(1, 4, 0.25))
    assert idle.claim() is None
    freeze(dying)
    later = living.submit(a_ticket(), limit=10)
    assert claimed_within(idle, 1).ticket.id == later
    again = claimed_within(idle, 5)
    assert again.ticket.id == lost
    assert again.progress.state is JobState.RUNNING  # so that its new holder counts the interruption
    again.record(Queued("interrupted"))
    again.record(Started(2, "w2"))

    # The old one was only frozen, and comes back.
    for event in (Saving(PICTURE), Finished(PICTURE), Queued("given back")):
        with pytest.raises(HoldLost):
            old.record(event)
    with pytest.raises(HoldLost):
        old.cancel_requested()
    with pytest.raises(HoldLost):
        old.release()
    assert idle.progress(lost).state is JobState.RUNNING
    again.record(Finished(PICTURE))
    assert not held.cancel_requested()
    held.record(Finished(PICTURE))
    assert idle.census().redelivered == 1


def test_a_holder_that_was_away_learns_that_its_job_is_gone_without_a_word_of_its_own(
    opened: Opened,
) -> None:
    api, worker = opened(), opened()
    job_id = api.submit(a_ticket(), limit=10)
    claim = start(worker)
    api.forget(job_id)

    def lost() -> bool:
        try:
            claim.cancel_requested()
        except HoldLost:
            return True
        return False

    wait_until(lost, 2)


def test_the_cancel_of_a_job_whose_holder_died_reaches_its_next_holder(opened: Opened) -> None:
    dying, other = opened(), opened()
    job_id = other.submit(a_ticket(), limit=10)
    start(dying)
    freeze(dying)
    other.cancel(job_id)
    assert claimed_within(other, 6).cancel_requested()


def test_holds_outlive_a_redis_that_was_away_for_longer_than_a_hold(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", appendonly=True) as server:
        holder, idle = RedisJobStore(server.url), RedisJobStore(server.url)
        try:
            job_id = holder.submit(a_ticket(), limit=10)
            waiting = holder.submit(a_ticket(model="other"), limit=10)
            claim = start(holder)
            assert claim.ticket.id == job_id
            server.kill()
            time.sleep(4.2)
            server.start()
            wait_until(lambda: _answers(idle), 5)
            found = claimed_within(idle, 5)
            assert found.ticket.id == waiting
            until = time.monotonic() + 2
            while time.monotonic() < until:
                assert idle.claim() is None
                time.sleep(0.05)
            claim.record(Finished(PICTURE))
            assert idle.progress(job_id).state is JobState.DONE
        finally:
            holder.close()
            idle.close()


def _answers(store: RedisJobStore) -> bool:
    try:
        store.check()
    except StorageUnavailable:
        return False
    return True


# --- dead letters -------------------------------------------------------------------------------------------


def dead(store: RedisJobStore, code: str = EngineDied.code) -> str:
    job_id = store.submit(a_ticket(), limit=10)
    claim = start(store)
    claim.record(Failed(Failure(code, "It died")))
    claim.release()
    return job_id


@pytest.mark.parametrize("code", [EngineDied.code, "out_of_memory", "interrupted"])
def test_a_job_that_died_is_kept_with_its_reason(opened: Opened, code: str) -> None:
    store = opened()
    job_id = dead(store, code)
    ticket = store.ticket(job_id)
    store.forget(job_id)
    (letter,) = store.dead_letters()
    assert (letter.ticket, letter.failure) == (ticket, Failure(code, "It died"))
    assert abs(letter.died_at - time.time()) < 10
    assert store.census().dead == 1


def test_a_job_that_failed_for_what_was_asked_is_no_dead_letter(opened: Opened) -> None:
    store = opened()
    dead(store, BrokenModel.code)
    assert store.dead_letters() == []


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_replayed_job_runs_again_by_its_id_with_nothing_counted(opened: Opened, *, forgotten: bool) -> None:
    store = opened()
    job_id = dead(store)
    seen = store.progress(job_id).number
    if forgotten:
        store.forget(job_id)
    store.replay(job_id)
    assert store.dead_letters() == []
    progress = store.progress(job_id)
    assert (progress.state, progress.attempts, progress.failure) == (JobState.QUEUED, 0, None)
    assert store.position(job_id) == 1
    claim = start(store)
    assert claim.ticket.id == job_id
    assert store.progress(job_id).after(seen)  # watchers go on where they were
    claim.record(Finished(PICTURE))
    with pytest.raises(JobEnded):
        store.cancel(job_id)
    with pytest.raises(UnknownJob):
        store.replay(job_id)


def test_a_dropped_letter_is_gone(opened: Opened) -> None:
    store = opened()
    job_id = dead(store)
    store.drop(job_id)
    assert store.dead_letters() == []
    for verb in (store.drop, store.replay):
        with pytest.raises(UnknownJob):
            verb(job_id)
    assert store.progress(job_id).state is JobState.FAILED
