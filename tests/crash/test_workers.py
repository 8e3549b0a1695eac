"""Workers in processes of their own beside a server that has none."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.server import Server, clean_environment, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def worker(data_dir: Path, **settings: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "diffusionapi.worker"],
        env=clean_environment(data_dir, **settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_two_workers_share_the_jobs_of_a_server_without_any(tmp_path: Path) -> None:
    with (
        Server(tmp_path, workers=0) as server,
        worker(tmp_path, fake_step_seconds=0.01) as one,
        worker(tmp_path, fake_step_seconds=0.01) as other,
    ):
        jobs = [server.submit(steps=20) for _ in range(12)]
        for job_id in jobs:
            assert server.result(job_id)["state"] == "done"
        logs = []
        for process in (one, other):
            process.terminate()
            logs.append(process.communicate(timeout=10)[1])
            assert process.returncode == 0
    for job_id in jobs:
        assert sum(log.count(f"job={job_id}: finished in") for log in logs) == 1
    assert all("finished in" in log for log in logs)


def test_a_job_of_a_killed_worker_goes_to_the_other_at_once(tmp_path: Path) -> None:
    with Server(tmp_path, workers=0) as server, worker(tmp_path, fake_step_seconds=0.02) as first:
        job_id = server.submit(steps=100)
        server.wait_for_state(job_id, "processing")
        with worker(tmp_path, fake_step_seconds=0.001):
            first.kill()
            assert server.result(job_id, timeout=10)["state"] == "done"


def test_a_worker_of_a_store_in_memory_is_refused(tmp_path: Path) -> None:
    with worker(tmp_path, job_store="memory:") as process:
        story = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "JOB_STORE" in story
    assert "Traceback" not in story


def test_the_server_says_that_it_is_ready_without_workers_of_its_own(tmp_path: Path) -> None:
    with Server(tmp_path, workers=0) as server:
        wait_until(lambda: server.get("/readyz").status_code == 200, 5)
