"""A Redis that is killed, or answers nothing, under servers and workers."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.redis.conftest import KEY
from tests.server import WEB, wait_until

if TYPE_CHECKING:
    import httpx2 as httpx

    from tests.redis.house import House
    from tests.redis_server import RedisServer
    from tests.server import Server

ANSWERED = 2.0
"""Seconds within which a client is told that there is no Redis."""


class StubbornClient(threading.Thread):
    """Submits some jobs, each under a key of its own, again and again until it was accepted."""

    def __init__(self, house: House, numbers: range, jobs: dict[int, str]) -> None:
        super().__init__(daemon=True)
        self._house, self._numbers, self._jobs = house, numbers, jobs
        self.refusals = 0

    def run(self) -> None:
        for number in self._numbers:
            while number not in self._jobs:
                self._submit(number)

    def _submit(self, number: int) -> None:
        body = {"prompt": f"job {number}", "steps": 2 + number % 8, "seed": number, "width": 64, "height": 64}
        headers = {"Idempotency-Key": f"job-{number}"}
        answer = WEB.post(f"{self._house.url}/txt2img", json=body, headers=headers)
        if answer.status_code == 200:
            self._jobs[number] = answer.json()["job_id"]
            return
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2"), answer.text
        self.refusals += 1
        time.sleep(0.1)


def test_two_hundred_jobs_survive_a_redis_that_is_killed_under_them(
    house: House, redis_server: RedisServer
) -> None:
    """For a moment, so that everybody goes on, and for longer than a worker may say nothing."""
    jobs: dict[int, str] = {}
    before = len(house.pictures())
    seen: dict[str, tuple[int, int]] = {}

    def see_pictures() -> int:
        """A picture that was in place is never written again: its job has run to the end."""
        for one in house.pictures():
            found = one.stat()
            identity = found.st_ino, found.st_mtime_ns
            assert seen.setdefault(one.name, identity) == identity
        return len(seen) - before

    clients = [StubbornClient(house, range(first, 200, 4), jobs) for first in range(4)]
    for client in clients:
        client.start()
    for accepted, made, seconds in ((60, 0, 0.0), (120, 30, 5.0), (200, 100, 0.5)):
        wait_until(lambda many=accepted: len(jobs) >= many, 60, house.log)
        wait_until(lambda many=made: see_pictures() >= many, 60, house.log)
        redis_server.kill()
        time.sleep(seconds)
        redis_server.start()
    for client in clients:
        client.join(60)
    assert len(set(jobs.values())) == 200
    assert sum(client.refusals for client in clients) > 0
    wait_until(lambda: see_pictures() == 200, 60, house.log)
    house.has_made_each_once(list(jobs.values()))


@dataclass(frozen=True)
class Ask:
    """A submit or a poll of a dialect, and the status of its answer when there is no Redis."""

    path: str
    body: dict[str, object] | None = None
    headers: dict[str, str] | None = None
    status: int = 503

    def to(self, server: Server) -> httpx.Response:
        method = "GET" if self.body is None else "POST"
        return WEB.request(method, server.url + self.path, json=self.body, headers=self.headers)


@pytest.fixture(scope="module")
def asks(house: House) -> list[Ask]:
    """A submit of every dialect with answers, and polls of what it was given. All jobs have ended then."""
    before = len(house.pictures())
    small: dict[str, object] = {"width": 64, "height": 64}
    answer = WEB.post(f"{house.url}/api/v1/public/client/demo").json()
    bearer = {"Authorization": f"Bearer {answer['data']['authToken']}"}
    primary = Ask("/txt2img", small | {"prompt": "x"})
    task = Ask("/task", small | {"prompt": "x"})
    backlog = Ask("/api/v1/private/client/ai/diffusion", small | {"word": "x"}, bearer)
    v3 = Ask("/api/v3/text2img", small | {"key": KEY, "prompt": "x", "enhance_prompt": "no"}, status=200)
    given = [one.to(house.server).json() for one in (primary, task, backlog, v3)]
    polls = [
        Ask(f"/queue/{given[0]['job_id']}"),
        Ask(f"/queue/{given[0]['job_id']}?wait=5"),
        Ask("/queue"),
        Ask(f"/task/{given[1]}"),
        Ask(f"/api/v1/private/client/request/{given[2]['data']['uid']}", headers=bearer),
        Ask(f"/api/v3/fetch/{given[3]['id']}", {"key": KEY}, status=200),
    ]
    wait_until(lambda: len(house.pictures()) == before + len(given), 30, house.log)
    return [primary, task, backlog, v3, *polls]


def away(redis_server: RedisServer, how: str) -> None:
    redis_server.kill() if how == "kill" else redis_server.freeze()


def back(redis_server: RedisServer, how: str) -> None:
    redis_server.start() if how == "kill" else redis_server.thaw()


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_without_redis_every_dialect_says_so_and_workers_deliver_when_it_is_back(
    house: House, asks: list[Ask], redis_server: RedisServer, how: str
) -> None:
    before = set(house.pictures())
    jobs = [house.server.submit(steps=100) for _ in range(3)]
    heard: list[list[str]] = [[] for _ in jobs]
    with ThreadPoolExecutor() as watching:
        feeds = [watching.submit(listen, house.server, *one) for one in zip(jobs, heard, strict=True)]
        workers = [house.at_work_on(job_id) for job_id in jobs]
        wait_until(lambda: all("step" in names for names in heard), 10, house.log)
        away(redis_server, how)
        gone = time.monotonic()
        time.sleep(1.2)  # what a server has read within a second counts
        for server in house.servers:
            for ask in asks:
                began = time.monotonic()
                answer = ask.to(server)
                assert time.monotonic() - began < ANSWERED, ask
                assert (answer.status_code, answer.headers["Retry-After"]) == (ask.status, "2"), ask
            began = time.monotonic()
            assert closed_with(server) == 1013
            assert time.monotonic() - began < ANSWERED
            assert server.get("/readyz").status_code == 503
            assert server.get("/livez").status_code == 200
        for worker in workers:
            wait_until(lambda one=worker: "is kept on this machine until" in one.log(), 20, house.log)
        # For longer than a worker may say nothing while Redis is there.
        time.sleep(max(0.0, gone + 5 - time.monotonic()))
        back(redis_server, how)
        for feed in feeds:
            feed.result()
    assert [(names[-1], names.count("started")) for names in heard] == [("finished", 1)] * len(jobs)
    log = house.log()
    for job_id, worker in zip(jobs, workers, strict=True):
        assert house.server.result(job_id)["state"] == "done"
        assert worker.finished.count(job_id) == log.count(f"job={job_id}: started, attempt") == 1
    assert len(set(house.pictures()) - before) == len(jobs)
    assert "Traceback" not in log
    wait_until(lambda: all(one.get("/readyz").status_code == 200 for one in house.servers), 5, house.log)


def listen(server: Server, job_id: str, heard: list[str]) -> None:
    """Take down the names of a job's events until it has ended."""
    with WEB.stream("GET", f"{server.url}/queue/{job_id}/events", timeout=60) as feed:
        for line in feed.iter_lines():
            if line.startswith("event: "):
                heard.append(line.removeprefix("event: "))  # noqa: PERF401 - it is read meanwhile


def closed_with(server: Server) -> int:
    """What the streaming API closes a request's socket with."""
    url, bearer = server.url.replace("http", "ws", 1) + "/generate", {"Authorization": f"Bearer {KEY}"}
    with connect(url, additional_headers=bearer) as socket:
        socket.send(json.dumps({"prompt": "x", "image_size": [256, 256]}))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code
