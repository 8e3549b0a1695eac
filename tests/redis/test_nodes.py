"""What a client does at one server with a job that another server took in and a worker elsewhere has."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.redis.conftest import STEP
from tests.server import WEB, wait_until

if TYPE_CHECKING:
    from tests.redis.house import House
    from tests.server import Server

MARGIN = 0.3
"""Seconds for the ways between the processes, on a machine that has much to do."""


def test_a_cancel_at_another_server_reaches_a_running_job_within_a_step(house: House) -> None:
    one, other = house.servers
    for _ in range(5):
        job_id = one.submit(steps=900)
        worker = house.at_work_on(job_id)
        wait_until(lambda job=job_id: one.status(job)["progress"] > 0, 5, house.log)
        assert WEB.delete(f"{other.url}/queue/{job_id}").status_code == 200
        asked = time.monotonic()
        wait_until(lambda log=worker.log, job=job_id: f"job={job}: cancelled" in log(), 5, house.log)
        assert time.monotonic() - asked < STEP + MARGIN
        # Nobody has fetched it yet, and both know.
        assert [events(server, job_id)[-1][0] for server in (one, other)] == ["cancelled", "cancelled"]


def test_a_feed_goes_on_at_another_server_where_it_was_left(house: House) -> None:
    one, other = house.servers
    job_id = one.submit(steps=50)
    first = events(one, job_id, most=6)
    assert first[-1][0] != "finished"
    rest = events(other, job_id, after=first[-1][1])
    names = [name for name, _ in (*first, *rest)]
    assert (names.count("started"), names.count("step"), names.count("finished")) == (1, 50, 1)
    assert names[-1] == "finished"
    assert all(later == earlier + 1 for (_, earlier), (_, later) in pairwise((*first, *rest)))
    # The end is told again to who lost the connection before it, and at once.
    for server in house.servers:
        assert events(server, job_id, after=rest[-2][1]) == rest[-1:]


def events(
    server: Server, job_id: str, *, after: int | None = None, most: int | None = None
) -> list[tuple[str, int]]:
    """Names and numbers of what a job's feed tells past event `after`, or `most` of it."""
    told: list[tuple[str, int]] = []
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with WEB.stream("GET", f"{server.url}/queue/{job_id}/events", headers=headers) as feed:
        name = ""
        for line in feed.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                told.append((name, int(value)))
                if len(told) == most:
                    break
    return told
