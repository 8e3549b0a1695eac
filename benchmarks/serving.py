"""The suite `serving`: submits, polls and starts over HTTP at one server process with the fake engine."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import depth, load
from benchmarks.report import Figure, durations, single
from tests.server import Server, wait_until

if TYPE_CHECKING:
    import argparse

TIME_LIMIT = 90
_CONNECTIONS = 16
_SECONDS = 4.0
"""How long each load lasts."""
_POLLS_PER_SECOND = 200.0
_STARTS = 50
_STEP_SECONDS = 0.05
"""A fast card's step: each is a progress record written while others are read."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--depth", type=int, default=100_000, help="jobs in the long queue (%(default)s)")


def facts(_: argparse.Namespace) -> dict[str, str]:
    return {}


def run(options: argparse.Namespace) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="diffusionapi-bench-", dir=options.folder) as name:
        folder = Path(name)
        return [
            *submits(_made(folder / "submits")),
            *polls(_made(folder / "polls")),
            starts(_made(folder / "starts")),
            *depth.figures(_made(folder / "depth"), deep=options.depth),
        ]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def submits(folder: Path) -> list[Figure]:
    """Into a queue that nobody works on."""
    request = load.post("/txt2img", b'{"prompt": "a lighthouse"}', expected=b'"queued"')
    with Server(folder, engine="fake", workers=0, queue_limit=1_000_000) as server:
        load.flood(server.port, request, connections=1, seconds=0.5)
        many = load.flood(server.port, request, connections=_CONNECTIONS, seconds=_SECONDS)
        one = load.flood(server.port, request, connections=1, seconds=_SECONDS)
        server.stop()
    return [
        single(f"submits, {_CONNECTIONS} connections", many.per_second, "per s"),
        single("submits, 1 connection", one.per_second, "per s"),
        durations("submit, 1 connection", one.latencies),
    ]


def polls(folder: Path) -> list[Figure]:
    """Of one job that runs throughout, its progress record as long as it gets."""
    with Server(folder, engine="fake", workers=1, fake_step_seconds=_STEP_SECONDS) as server:
        job = server.submit(prompt="a lighthouse", steps=1000)
        wait_until(lambda: server.status(job)["progress"] > 7, 30, server.log)
        request = load.get(f"/queue/{job}", expected=b'"processing"')
        modest = load.drip(
            server.port,
            request,
            connections=_CONNECTIONS,
            seconds=_SECONDS,
            per_second=_POLLS_PER_SECOND,
        )
        before = _processor_seconds(server)
        many = load.flood(server.port, request, connections=_CONNECTIONS, seconds=_SECONDS)
        used = _processor_seconds(server) - before
        server.stop()
    return [
        single(f"polls while the job runs, {_CONNECTIONS} connections", many.per_second, "per s"),
        single("  processor time of the server for 1,000 polls", 1000 * used / len(many.latencies), "s"),
        durations(f"poll while the job runs, {_POLLS_PER_SECOND:.0f} polls per s", modest.latencies),
    ]


def _processor_seconds(server: Server) -> float:
    """Of the server's own process: its loop, its threads, its worker; not the engine."""
    assert server.process is not None
    times = psutil.Process(server.process.pid).cpu_times()
    return times.user + times.system


def starts(folder: Path) -> Figure:
    """From before the request is sent until the job's `started_at`, one after the other."""
    with Server(folder, engine="fake", workers=1, fake_step_seconds=0) as server:
        server.result(server.submit(steps=1, width=64, height=64))
        delays = asyncio.run(_start_delays(server, folder / "queue"))
        server.stop()
    return durations("submit to start, idle worker", delays)


async def _start_delays(server: Server, queue: Path) -> list[float]:
    body = b'{"prompt": "a lighthouse", "steps": 1, "width": 64, "height": 64}'
    request = load.post("/txt2img", body, expected=b'"queued"')
    delays = []
    async with asyncio.timeout(30), load.connect(server.port) as connection:
        for number in range(_STARTS):
            sent = time.time()
            job = json.loads(await connection.ask(request))["job_id"]
            delays.append((await _ended(queue / f"{job}.json"))["started_at"] - sent)
            # The worker idles again, and is met at another instant of its round each time.
            await asyncio.sleep(0.05 + 0.0007 * number)
    return delays


async def _ended(progress_file: Path) -> dict[str, Any]:
    """The progress record of a job when it has one that is its last."""
    while True:
        await asyncio.sleep(0.005)
        if progress_file.exists():  # noqa: ASYNC240 - nothing else runs in this loop
            found: dict[str, Any] = json.loads(progress_file.read_bytes())  # noqa: ASYNC240
            if found["ended_at"] is not None:
                return found
