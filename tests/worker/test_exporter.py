"""The worker's process: its flags, and its own /metrics, /livez and /readyz."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.errors import Misconfigured, StorageUnavailable
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.worker.exporter import Exporter
from diffusionapi.worker.figures import Figures
from tests.server import WEB, Server, clean_environment, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Pool:
    """Of no workers, that live or do not."""

    def __init__(self) -> None:
        self.figures = Figures()
        self.alive = True
        self.problem = ""


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture
def exporter(pool: Pool) -> Iterator[Exporter]:
    exporter = Exporter(0, pool, MemoryJobStore())  # type: ignore[arg-type]
    exporter.start()
    yield exporter
    exporter.stop()


def ask(exporter: Exporter, path: str) -> tuple[int, str]:
    answer = WEB.get(f"http://127.0.0.1:{exporter.port}{path}", timeout=10)
    return answer.status_code, answer.text


def test_a_worker_tells_what_it_did(exporter: Exporter, pool: Pool) -> None:
    pool.figures.started(loads=True)
    pool.figures.started(loads=False)
    pool.figures.again("interrupted")
    status, text = ask(exporter, "/metrics")
    assert status == 200
    assert "\ndiffusionapi_worker_jobs_total 2\n" in text
    assert "\ndiffusionapi_worker_loads_total 1\n" in text
    assert 'diffusionapi_worker_redeliveries_total{cause="interrupted"} 1\n' in text


def test_it_is_ready_while_its_threads_live_and_jobs_can_be_reached(
    exporter: Exporter, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise StorageUnavailable("Redis cannot be reached")

    assert (ask(exporter, "/livez"), ask(exporter, "/readyz")) == ((200, "ok\n"), (200, "ok\n"))
    with monkeypatch.context() as patch:
        patch.setattr(MemoryJobStore, "check", away)
        assert ask(exporter, "/readyz") == (503, "Redis cannot be reached\n")
        assert ask(exporter, "/livez")[0] == 200
    pool.problem = "the engine does not start: there is no device"
    assert ask(exporter, "/readyz") == (503, f"{pool.problem}\n")
    assert ask(exporter, "/livez") == (200, "ok\n")
    pool.alive, pool.problem = False, "a worker is not running"
    assert ask(exporter, "/livez") == ask(exporter, "/readyz") == (503, "a worker is not running\n")
    assert ask(exporter, "/elsewhere")[0] == 404


def test_a_port_that_is_taken_is_said(pool: Pool) -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"--metrics: cannot listen on port {port}"):
            Exporter(port, pool, MemoryJobStore())  # type: ignore[arg-type]


@contextmanager
def worker(folder: Path, *flags: str, **settings: object) -> Iterator[Path]:
    """A worker's process, until the end of the block; its log."""
    log = folder / "worker.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "diffusionapi.worker", *flags],
            env=clean_environment(folder, **settings),
            cwd=folder,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield log
        finally:
            process.terminate()
            process.wait(10)
        assert process.returncode == 0, log.read_text()


def test_the_flags_go_before_the_settings(tmp_path: Path) -> None:
    port = free_port()
    settings: dict[str, Any] = {"engine": "fake", "workers": 0, "fake_step_seconds": 0.001}
    flags = ("--device", "cpu", "--count", "2", "--metrics", str(port))
    with Server(tmp_path, **settings) as server, worker(tmp_path, *flags, **settings) as log:
        wait_until(lambda: "2 at once" in log.read_text(), 30, log.read_text)
        assert server.result(server.submit(steps=1))["state"] == "done"
        figures = WEB.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'diffusionapi_worker_ended_total{outcome="done"} 1\n' in figures
        assert "worker_jobs_total" not in server.get("/metrics").text


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--device", "tpu"), "Setting DEVICE: 'tpu' is not right"),
        (("--count", "0"), "--count: at least 1"),
        (("--count", "100"), "Setting WORKERS: 100 is not right"),
    ],
)
def test_a_wrong_flag_is_a_sentence(tmp_path: Path, flags: tuple[str, ...], sentence: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "diffusionapi.worker", *flags],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode != 0
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
