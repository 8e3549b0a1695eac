"""A real server process for tests: on a free port, spoken to over HTTP, stopped or killed by its pid."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx2 as httpx
import psutil

if TYPE_CHECKING:
    from types import TracebackType

    from diffusionapi.jobs.store import JobStore

PROJECT = Path(__file__).resolve().parent.parent
WEB = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
"""What tests ask servers with. A connection a request, as of many clients; but to make a client reads all
certificates of the world, which takes longer than a server takes to answer."""


def free_port() -> int:
    """Below those that the system gives to outgoing connections: none of them has taken it when a server that
    was killed is started again. Processes that test side by side have ports of their own."""
    side = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    while True:
        port = 10_000 + 5_000 * side + secrets.randbelow(5_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def clean_environment(data_dir: Path, **settings: object) -> dict[str, str]:
    """Our environment without settings of the machine, plus those of the test."""
    from diffusionapi.settings import Settings

    names = {name.upper() for name in Settings.model_fields}
    own = {name: value for name, value in os.environ.items() if name.upper() not in names}
    given = {name.upper(): str(value) for name, value in settings.items()}
    return own | {"DATA_DIR": str(data_dir), "MODEL_LABELS": str(PROJECT / "model_labels.json")} | given


class Server:
    """`with Server(tmp_path) as server: server.get("/hello")`. Settings are given by their names."""

    def __init__(self, data_dir: Path, *, uvicorn: list[str] | None = None, **settings: object) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self.job_store = str(settings.get("job_store", "file:queue"))
        self.scheme = "http"
        self._arguments = uvicorn or []
        self._environment = clean_environment(data_dir, **{"port": self.port} | settings)
        self._log = data_dir / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.kill()

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "diffusionapi.main:app", "--host", "127.0.0.1"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *self._arguments],
                env=self._environment,
                cwd=self.data_dir,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, 60, self.log)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.log()}"
        with suppress(httpx.TransportError):
            return bool(WEB.get(self.url + "/hello", timeout=5).status_code == 200)
        return False

    @property
    def family(self) -> list[psutil.Process]:
        """The server's process and all below it."""
        assert self.process is not None
        try:
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    @property
    def engines(self) -> list[psutil.Process]:
        found = []
        for one in self.family:
            with suppress(psutil.NoSuchProcess):
                if "diffusionapi.engine.process" in one.cmdline():
                    found.append(one)
        return found

    def kill(self) -> None:
        """kill -9 of the server itself; what it started has to notice."""
        assert self.process is not None
        family = self.family
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        try:
            wait_until(lambda: not any(_alive(one) for one in family), 10, self.log)
        finally:
            for one in filter(_alive, family):
                one.kill()
            self.process = None

    def stop(self) -> float:
        """SIGTERM; the seconds until it was gone."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process = None
        return time.monotonic() - began

    def log(self) -> str:
        return self._log.read_text()

    def jobs(self) -> set[str]:
        """The ids of all jobs in its folder."""
        return {one.name.removesuffix("_job.json") for one in (self.data_dir / "queue").glob("*_job.json")}

    def store(self) -> JobStore:
        """The jobs in its folder; to be closed."""
        from diffusionapi.jobs.file import FileJobStore

        return FileJobStore(self.data_dir / "queue")

    def get(self, path: str, **options: Any) -> httpx.Response:
        return WEB.get(self.url + path, **options)

    def submit(self, **body: object) -> str:
        body = {"prompt": "a lighthouse"} | body
        answer = WEB.post(self.url + "/txt2img", json=body)
        assert answer.status_code == 200, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    def status(self, job_id: str) -> dict[str, Any]:
        answer = self.get(f"/queue/{job_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def result(self, job_id: str, timeout: float = 60) -> dict[str, Any]:
        """The last answer for a job."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(self.status(job_id))
            return found["state"] in ("done", "error")

        wait_until(ended, timeout, self.log)
        return found

    def wait_for_state(self, job_id: str, state: str, timeout: float = 30) -> None:
        """Without using up the job's last answer: looks at the list of the queue."""
        lists = {"processing": "running", "queued": "waiting"}

        def reached() -> bool:
            listing = self.get("/queue").json()
            return any(one["job_id"] == job_id for one in listing[lists[state]])

        wait_until(reached, timeout, self.log)


def _alive(process: psutil.Process) -> bool:
    """A zombie has ended; whether somebody collects it is not our matter."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Any, timeout: float, story: Any = lambda: "") -> None:
    """Until `condition()` holds; fails with `story()` when it takes longer than `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s:\n{story()}"
        time.sleep(0.01)
