"""The suite `redis`: the queue of many machines, on a redis-server of its own with its log of commands on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import Redis

from benchmarks import depth, load
from benchmarks.report import Figure, durations, ratio, single
from diffusionapi.jobs.redis.store import RedisJobStore
from tests.factories import a_ticket
from tests.redis_server import RedisServer
from tests.server import Server, clean_environment, wait_until

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

TIME_LIMIT = 180
_FEW = 10
_STARTS = 50
_JOBS = 100
"""Of which Redis' own time is taken."""
_AT_ONCE = 1000
"""Jobs of one submit, when the line is made long."""
_QUIET = 3.0
"""Seconds until nothing goes on any more, and of the look at that."""
_NO_LIMIT = 10_000_000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--depth", type=int, default=100_000, help="jobs in the long queue (%(default)s)")


def facts(_: argparse.Namespace) -> dict[str, str]:
    done = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True)  # noqa: S607
    return {"redis": done.stdout.split()[2].removeprefix("v="), "persistence": "appendonly, everysec"}


def run(options: argparse.Namespace) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="diffusionapi-bench-", dir=options.folder) as name:
        folder = Path(name)
        return [*_depths(folder, options.depth), *_whole(folder)]


def _depths(folder: Path, deep: int) -> list[Figure]:
    """Claims and submits when few wait and when many do: two servers, in turns."""
    few = RedisServer(folder / "few", appendonly=True)
    many = RedisServer(folder / "many", appendonly=True)
    with few, many, closing(RedisJobStore(few.url)) as short, closing(RedisJobStore(many.url)) as long:
        _fill(short, _FEW)
        _fill(long, deep)
        found = [single("memory of Redis for a job that waits", _memory(many) / deep / 1024, "KiB")]
        for name, act in depth.ACTS.items():
            with act(short) as at_few, act(long) as at_many:
                seconds = depth.in_turns(at_few, at_many)
            pair = [
                durations(f"{name}, {jobs:,} jobs wait", taken)
                for jobs, taken in zip((_FEW, deep), seconds, strict=True)
            ]
            found += [*pair, ratio("  the latter to the former", pair[1], pair[0])]
        return found


def _memory(server: RedisServer) -> int:
    with Redis.from_url(server.url) as asked:
        return int(asked.info("memory")["used_memory"])


def _fill(store: RedisJobStore, jobs: int) -> None:
    for begin in range(0, jobs, _AT_ONCE):
        store.submit_all([a_ticket() for _ in range(min(_AT_ONCE, jobs - begin))], limit=_NO_LIMIT)


def _whole(folder: Path) -> list[Figure]:
    """A server, a worker and Redis, each a process of its own."""
    home = folder / "home"
    home.mkdir()
    with RedisServer(folder / "redis", appendonly=True) as redis:
        settings: dict[str, Any] = {"job_store": redis.url, "engine": "fake", "fake_step_seconds": 0}
        settings |= {"workers": 0}
        with Server(home, **settings) as server, _worker(home, settings), Redis.from_url(redis.url) as asked:
            server.result(server.submit(steps=1, width=64, height=64))
            with closing(RedisJobStore(redis.url)) as store:
                delays = asyncio.run(_start_delays(server, store))
            before = _seconds_of(asked)
            for job in [server.submit(steps=1, width=64, height=64) for _ in range(_JOBS)]:
                server.result(job)
            used = _seconds_of(asked) - before
            server.stop()
            time.sleep(_QUIET)
            before_rest = _commands(asked)
            time.sleep(_QUIET)
            idle = (_commands(asked) - before_rest) / _QUIET
    return [
        durations("submit to start, idle worker of another process", delays),
        single("Redis' own processor time for a job of one step, polls included", 1000 * used / _JOBS, "ms"),
        single("commands to Redis of a worker with nothing to do", idle, "per s"),
    ]


@contextmanager
def _worker(home: Path, settings: dict[str, Any]) -> Iterator[None]:
    environment = clean_environment(home, **settings)
    command = [sys.executable, "-m", "diffusionapi.worker"]
    with (
        (home / "worker.log").open("ab") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            wait_until(lambda: b"works on" in (home / "worker.log").read_bytes(), 30)
            yield
        finally:
            process.terminate()


async def _start_delays(server: Server, store: RedisJobStore) -> list[float]:
    """From before the request is sent until the job's `started_at`, one after the other."""
    body = b'{"prompt": "a lighthouse", "steps": 1, "width": 64, "height": 64}'
    request = load.post("/txt2img", body, expected=b'"queued"')
    delays = []
    async with asyncio.timeout(60), load.connect(server.port) as connection:
        for number in range(_STARTS):
            sent = time.time()
            job = json.loads(await connection.ask(request))["job_id"]
            delays.append(await _started_at(store, job) - sent)
            # The worker idles again, and is met at another instant of its round each time.
            await asyncio.sleep(0.05 + 0.0007 * number)
    return delays


async def _started_at(store: RedisJobStore, job: str) -> float:
    """Asked for when the job has ended."""
    while True:
        await asyncio.sleep(0.005)
        progress = store.progress(job)
        if progress.state.ended:
            assert progress.started_at is not None
            return progress.started_at


def _seconds_of(asked: Redis) -> float:
    used = asked.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _commands(asked: Redis) -> int:
    """That came by the network; those of scripts are not among them."""
    counts = asked.info("commandstats")
    return sum(
        counts.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "ping", "publish")
    )
