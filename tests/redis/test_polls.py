"""A server whose Redis is slow, or answers nothing for a while, answers what needs no Redis."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.server import WEB, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.redis_server import RedisServer


@pytest.fixture
def server(tmp_path: Path, redis_server: RedisServer) -> Iterator[Server]:
    with Server(tmp_path, job_store=redis_server.url, workers=0, enable_public_access=1) as server:
        yield server


def polls(server: Server) -> list[Callable[[], int]]:
    """Of twenty jobs, in all the ways in which somebody asks how far one is."""
    task = WEB.post(f"{server.url}/task", json={"prompt": "x"}).json()
    jobs = [server.submit() for _ in range(20)]
    paths = [f"/queue/{one}" for one in jobs]
    paths += [f"/queue/{jobs[0]}?wait=1", f"/queue/{jobs[1]}?preview=1", f"/task/{task}"]
    return [partial(_asked, server, one) for one in paths]


def _asked(server: Server, path: str) -> int:
    return int(server.get(path).status_code)


def test_polls_that_wait_for_redis_keep_nobody_else_waiting(
    server: Server, redis_server: RedisServer
) -> None:
    asks = polls(server)
    time.sleep(1.1)  # what was read a moment ago is not asked again
    with ThreadPoolExecutor(len(asks)) as clients:
        redis_server.freeze()
        try:
            waiting = [clients.submit(ask) for ask in asks]
            waits = []
            while not all(one.done() for one in waiting):
                began = time.monotonic()
                assert server.get("/livez").status_code == 200
                waits.append(time.monotonic() - began)
        finally:
            redis_server.thaw()
        assert {one.result() for one in waiting} == {503}
    assert max(waits) < 0.5
