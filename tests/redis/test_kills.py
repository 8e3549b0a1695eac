"""Workers that vanish in the middle of a job, and workers that come back when they were thought dead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.redis.house import House
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.redis_server import RedisServer

KILLS, AT_ONCE = 20, 4
TAKEN_OVER = 6.0
"""Seconds from a worker's end to the next one's start on its job."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with House(folder, redis_server, workers=2 * AT_ONCE, fake_step_seconds=0.02) as house:
        yield house


@pytest.mark.timeout(240)
def test_twenty_workers_are_killed_at_work_and_no_job_is_lost_or_finished_twice(house: House) -> None:
    jobs: list[str] = []
    for _ in range(KILLS // AT_ONCE):
        begun = [house.server.submit(steps=150) for _ in range(AT_ONCE)]
        victims = [house.at_work_on(job_id) for job_id in begun]
        killed = time.monotonic()
        for victim in victims:
            victim.kill()
        for _ in victims:
            house.add_worker()
        for job_id in begun:
            house.at_work_on(job_id)
        assert time.monotonic() - killed < TAKEN_OVER
        jobs += begun
    for job_id in jobs:
        assert house.events_of(job_id)[-1] == "finished"
    house.has_made_each_once(jobs)
    log = house.log()
    assert [log.count(f"job={job_id}: started, attempt 2") for job_id in jobs] == [1] * KILLS


def test_workers_that_were_frozen_cannot_finish_what_others_have_taken(house: House) -> None:
    """One comes back when another is at its job, one when another has finished it."""
    early, late = jobs = [house.server.submit(steps=100) for _ in range(2)]
    frozen = [house.at_work_on(job_id) for job_id in jobs]
    for one in frozen:
        one.freeze()
    others = [one for one in house.workers if one not in frozen]
    for job_id in jobs:
        wait_until(lambda job=job_id: any(job in one.started for one in others), 6, house.log)
    frozen[0].thaw()
    assert house.events_of(late)[-1] == "finished"
    frozen[1].thaw()
    assert house.events_of(early)[-1] == "finished"
    for one, job_id in zip(frozen, jobs, strict=True):
        dropped = f"job={job_id}: dropped: "
        wait_until(lambda one=one, dropped=dropped: dropped in one.log(), 10, house.log)
        assert job_id not in one.finished
    # They go on with other jobs.
    for other in [one for one in others if one.lives]:
        other.stop()
    more = [house.server.submit(steps=100) for _ in range(2)]
    assert {house.at_work_on(job_id) for job_id in more} == set(frozen)
    house.has_made_each_once([*jobs, *more])
