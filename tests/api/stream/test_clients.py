"""Clients as they come: many at once, slow ones, those that leave in the middle."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.api.stream.client import KEY, SMALL, Client, left_behind, listen, picture
from tests.server import Server, wait_until

if TYPE_CHECKING:
    from pathlib import Path

MANY = 50


async def _one(url: str) -> tuple[int, list[int], float]:
    """The code of its close, its steps, and the seconds it took."""
    began, steps = time.monotonic(), list[int]()
    async with connect(url, max_size=None, open_timeout=30) as connection:
        await connection.send(json.dumps(SMALL))
        with suppress(ConnectionClosed):
            steps.extend([json.loads(text)["step"] async for text in connection])
    assert connection.close_code is not None
    return connection.close_code, steps, time.monotonic() - began


def at_once(server: Server) -> list[tuple[int, list[int], float]]:
    url = f"{Client(server).url}?token={KEY}"

    async def all_of_them() -> list[tuple[int, list[int], float]]:
        return await asyncio.wait_for(asyncio.gather(*(_one(url) for _ in range(MANY))), 100)

    return asyncio.run(all_of_them())


@pytest.mark.slow
@pytest.mark.parametrize("wait", [0, 60])
def test_fifty_at_once_each_get_a_picture_or_are_turned_away_in_time(tmp_path: Path, wait: int) -> None:
    with Server(tmp_path, api_keys=KEY, stream_max_wait=wait, fake_step_seconds=0.01) as server:
        wait_until(lambda: Client(server).ask(steps=1).code == 1000, 30, server.log)  # its engine is there
        found = at_once(server)
        wait_until(lambda: not left_behind(server), 10, lambda: str(left_behind(server)))
        assert Client(server).ask().code == 1000
    served = [one for one in found if one[0] == 1000]
    assert {code for code, _, _ in found} <= ({1000} if wait else {1000, 1013})
    assert served
    assert {tuple(steps) for code, steps, _ in found} <= {(), (1, 2, 3, 4, 5)}
    assert all(bool(steps) is (code == 1000) for code, steps, _ in found)
    print(f"{len(served)} of {MANY} served, the last after {max(one[2] for one in found):.1f} s")  # noqa: T201


@pytest.mark.slow
def test_a_slow_client_loses_previews_and_never_the_picture_nor_slows_the_engine(tmp_path: Path) -> None:
    steps, seconds = 30, 0.05
    request = json.dumps(SMALL | {"image_size": [2048, 2048], "steps": steps})
    with Server(tmp_path, api_keys=KEY, stream_max_wait=30, fake_step_seconds=seconds) as server:
        # A narrow way, or the network's buffers would hold it all.
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        narrow.connect(("127.0.0.1", server.port))
        with Client(server).connection(sock=narrow, max_queue=1, ping_interval=None) as connection:
            connection.send(request)
            # It reads nothing, and yet the job comes to its end.
            wait_until(lambda: "finished in" in server.log(), 60, server.log)
            story = listen(connection)
        took = float(re.findall(r"finished in ([\d.]+) s", server.log())[0])
    assert story.end == (1000, 200)
    assert len(story.frames) < steps / 2
    assert all(after > before for before, after in pairwise(story.steps))
    assert (story.frames[-1]["step"], story.frames[-1]["completed"]) == (steps, True)
    assert (picture(story.frames[-1]).format, picture(story.frames[-1]).size) == ("PNG", (2048, 2048))
    with Server(tmp_path, api_keys=KEY, stream_max_wait=30, fake_step_seconds=seconds) as server:
        Client(server).say(request)
        unhurried = float(re.findall(r"finished in ([\d.]+) s", server.log())[-1])
    print(f"{took} s of the engine, {unhurried} s with a client that reads")  # noqa: T201
    assert took < 2 * unhurried + 1


@pytest.mark.parametrize("how", ["closes", "vanishes"])
def test_a_client_that_leaves_has_its_job_cancelled_within_a_step(tmp_path: Path, how: str) -> None:
    with Server(tmp_path, api_keys=KEY, stream_max_wait=30, fake_step_seconds=0.1) as server:
        with Client(server).connection() as connection:
            connection.send(json.dumps(SMALL | {"steps": 500}))
            connection.recv(timeout=30)
            if how == "vanishes":
                connection.socket.shutdown(socket.SHUT_RDWR)
        left = time.monotonic()
        wait_until(lambda: "cancelled" in server.log(), 5, server.log)
        print(f"cancelled after {time.monotonic() - left:.2f} s")  # noqa: T201
        wait_until(lambda: not left_behind(server), 5, lambda: str(left_behind(server)))
        assert Client(server).ask().code == 1000
        assert "Traceback" not in server.log()


def test_a_client_that_leaves_while_it_waits_leaves_the_line(stream: Client, stream_server: Server) -> None:
    job = stream_server.submit(steps=500, width=64, height=64)
    stream_server.wait_for_state(job, "processing")

    def waiting() -> set[str]:
        return {one for one in left_behind(stream_server) if "_job" in one and job not in one}

    with stream.connection() as connection:
        connection.send(json.dumps(SMALL))
        wait_until(lambda: len(waiting()) == 1, 10, stream_server.log)
    wait_until(lambda: not waiting(), 10, stream_server.log)
    httpx.delete(f"{stream_server.url}/queue/{job}")
    stream_server.result(job)


@pytest.mark.slow
def test_jobs_of_a_process_that_is_killed_are_run_for_nobody(tmp_path: Path) -> None:
    """Nobody can ask for such a picture any more; the sweep removes it with its job."""
    settings: dict[str, Any] = {"api_keys": KEY, "stream_max_wait": 30, "fake_step_seconds": 0.02}
    server = Server(tmp_path, job_ttl=1, **settings)
    with server:
        with Client(server).connection() as connection:
            connection.send(json.dumps(SMALL | {"steps": 50}))
            connection.recv(timeout=30)
            server.kill()
        server.start()
        wait_until(lambda: not left_behind(server), 30, lambda: str(left_behind(server)))
