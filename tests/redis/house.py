"""Two servers that have no engine, and workers, on one Redis: each a process of its own, each with its log.

Pictures and uploads go by way of a folder that all share; what else a worker keeps is its own, as it would be
on a machine of its own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from itertools import count, cycle
from typing import TYPE_CHECKING, Any, Self

from diffusionapi.jobs.redis.store import RedisJobStore
from tests.server import Server, clean_environment, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.jobs.store import JobStore
    from tests.redis_server import RedisServer

_STARTED = re.compile(r"job=(\S+): started, attempt")
_FINISHED = re.compile(r"job=(\S+): finished")


class Worker:
    """`python -m diffusionapi.worker` and its engine: a process group, killed and frozen as a whole."""

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir()
        self._log = folder / "worker.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "diffusionapi.worker"],
                env=clean_environment(folder, **settings),
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """As the end of its machine would; nothing if it has ended."""
        if self.lives:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def freeze(self) -> None:
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM, and until it is gone."""
        self._process.terminate()
        assert self._process.wait(timeout=10) == 0, self.log()

    def log(self) -> str:
        return self._log.read_text()

    @property
    def lives(self) -> bool:
        return self._process.returncode is None

    @property
    def started(self) -> list[str]:
        """The jobs it began, one for each time."""
        return _STARTED.findall(self.log())

    @property
    def finished(self) -> list[str]:
        """The jobs it told the end of, one for each time."""
        return _FINISHED.findall(self.log())


class House:
    """What a client sees is one server: every request goes to the next one of `servers`."""

    def __init__(self, folder: Path, redis: RedisServer, *, workers: int, **settings: Any) -> None:
        self.data_dir = folder / "shared"
        self.data_dir.mkdir()
        self.job_store = redis.url
        self.redis = redis
        self._folder = folder
        own: dict[str, Any] = {"job_store": redis.url, "engine": "fake"}
        self._settings = own | settings
        self.servers = [Server(self.data_dir, workers=0, **self._settings) for _ in range(2)]
        self._next = cycle(self.servers)
        self._numbers = count()
        self._count = workers
        self.workers: list[Worker] = []
        self._doors = ExitStack()

    def __enter__(self) -> Self:
        try:
            for _ in range(self._count):
                self.add_worker()
            for server in self.servers:
                server.start()
            self._store = self._doors.enter_context(closing(self.store()))
            wait_until(lambda: all(" works on " in one.log() for one in self.workers), 60, self.log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._doors.close()
        for worker in self.workers:
            worker.kill()
        for server in self.servers:
            if server.process is not None:
                server.kill()

    def add_worker(self, **settings: object) -> Worker:
        """Returns at once."""
        shared = {f"{name}_dir": self.data_dir / name for name in ("outputs", "uploads", "trainings")}
        folder = self._folder / f"worker-{next(self._numbers)}"
        worker = Worker(folder, **shared | self._settings | settings)
        self.workers.append(worker)
        return worker

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def server(self) -> Server:
        """The next one."""
        return next(self._next)

    def jobs(self) -> set[str]:
        return set(self._store.accepted(0)[1])

    def store(self) -> JobStore:
        return RedisJobStore(self.redis.url)

    def log(self) -> str:
        """Of both servers, which share one, and of all workers that ever were."""
        return "\n".join([self.servers[0].log(), *(one.log() for one in self.workers)])

    # --- what workers said ------------------------------------------------------------------------------

    def at_work_on(self, job_id: str) -> Worker:
        """The one of the living that began this job; waits until there is one."""
        found: list[Worker] = []

        def begun() -> bool:
            found.extend(one for one in self.workers if one.lives and job_id in one.started)
            return bool(found)

        wait_until(begun, 30, self.log)
        return found[0]

    def events_of(self, job_id: str) -> list[str]:
        """The names of what a job's feed tells, which ends with the job."""
        feed = self.server.get(f"/queue/{job_id}/events", timeout=60)
        return [line.removeprefix("event: ") for line in feed.text.splitlines() if line.startswith("event: ")]

    def has_made_each_once(self, jobs: list[str]) -> None:
        """All these jobs came to one good end, and nothing is left to do. Fetches them."""
        for job_id in jobs:
            assert self.server.result(job_id)["state"] == "done", self.log()
        told = [job_id for one in self.workers for job_id in one.finished if job_id in jobs]
        assert sorted(told) == sorted(jobs), self.log()
        assert set(jobs) <= {one.stem for one in self.pictures()}
        listing = self.server.get("/queue").json()
        assert (listing["running"], listing["waiting"]) == ([], [])
        assert "Traceback" not in self.log()

    def pictures(self) -> list[Path]:
        return list((self.data_dir / "outputs").glob("[!.]*"))
