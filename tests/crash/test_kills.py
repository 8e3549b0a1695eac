"""Real servers killed at any moment: nothing accepted is lost, nothing is done twice."""

from __future__ import annotations

import random
import re
import signal
import threading
import time
from typing import TYPE_CHECKING

import httpx2 as httpx
import psutil
import pytest

from tests.server import WEB, Server, wait_until

if TYPE_CHECKING:
    from pathlib import Path


class StubbornClient(threading.Thread):
    """Submits some jobs, each under a key of its own, again and again until it was accepted."""

    def __init__(self, server: Server, numbers: range, jobs: dict[int, str]) -> None:
        super().__init__(daemon=True)
        self._server, self._numbers, self._jobs = server, numbers, jobs

    def run(self) -> None:
        for number in self._numbers:
            body = {
                "prompt": f"job {number}",
                "steps": 5 + number % 30,
                "seed": number,
                "width": 64,
                "height": 64,
            }
            while number not in self._jobs:
                try:
                    answer = WEB.post(
                        f"{self._server.url}/txt2img",
                        json=body,
                        headers={"Idempotency-Key": f"job-{number}"},
                        timeout=30,
                    )
                    assert answer.status_code == 200, answer.text
                    self._jobs[number] = answer.json()["job_id"]
                except httpx.TransportError:
                    time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sixty_jobs_survive_thirty_kills_of_the_server_at_random_moments(tmp_path: Path) -> None:
    dice = random.Random(1)  # noqa: S311 - moments, not secrets
    jobs: dict[int, str] = {}
    pictures: dict[str, tuple[int, int]] = {}

    def see_pictures() -> None:
        """A picture that was in place is never written again: its job has run to the end."""
        for one in (tmp_path / "outputs").glob("[!.]*"):
            found = one.stat()
            identity = (found.st_ino, found.st_mtime_ns)
            assert pictures.setdefault(one.name, identity) == identity

    with Server(tmp_path, fake_step_seconds=0.01) as server:
        for kill in range(30):
            client = StubbornClient(server, range(2 * kill, 2 * kill + 2), jobs)
            client.start()
            time.sleep(dice.uniform(0, 0.7))
            server.kill()
            see_pictures()
            server.start()
            client.join()
        assert len(set(jobs.values())) == 60
        for number, job_id in jobs.items():
            result = server.result(job_id)
            assert result["state"] == "done", result
            assert result["seed"] == number
            assert server.get(f"/queue/{job_id}").status_code == 404
        see_pictures()
        assert set(pictures) == {f"{job_id}.jpg" for job_id in jobs.values()}
        finished = re.findall(r"job=(\S+): finished in", server.log())
        assert len(finished) == len(set(finished))
        # Those whose picture was in place when the server was killed are finished by the next one.
        assert len(server.log().split("its worker vanished; running it again")) > 5
        listing = server.get("/queue").json()
        assert (listing["running"], listing["waiting"]) == ([], [])


def test_a_job_whose_engine_is_killed_runs_again_and_ends_well(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0.02) as server:
        job_id = server.submit(steps=40)
        for _ in range(2):
            server.wait_for_state(job_id, "processing")
            wait_until(lambda: server.status(job_id)["progress"] > 5, 20)
            (engine,) = server.engines
            began = time.monotonic()
            engine.kill()
            wait_until(lambda: server.get("/queue").json()["waiting_total"] == 1 or server.engines, 5)
            wait_until(lambda killed=engine: server.engines and server.engines[0] != killed, 10)
            assert time.monotonic() - began < 8
        assert server.result(job_id)["state"] == "done"
        assert server.log().count("started, attempt") == 3


def test_a_job_that_kills_its_engine_ends_in_an_error_that_says_how(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0.001) as server:
        doomed, good = server.submit(prompt="#crash@2"), server.submit(steps=2)
        assert server.result(good)["state"] == "done"
        error = server.result(doomed)["error"]
        assert "died 3 times" in error
        assert "SIGKILL" in error
        assert server.log().count("started, attempt") == 4


def test_a_job_that_runs_out_of_memory_ends_in_an_error_that_says_so(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0.001) as server:
        assert "ran out of memory" in server.result(server.submit(prompt="#memory@2"))["error"]


def test_a_job_that_hangs_ends_in_an_error_and_the_api_answers_meanwhile(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0.001, job_timeout=0.5) as server:
        hanging = server.submit(prompt="#hang@2")
        slowest = 0.0
        while (status := server.status(hanging))["state"] in ("queued", "processing"):
            began = time.monotonic()
            assert server.get("/hello").status_code == 200
            slowest = max(slowest, time.monotonic() - began)
        assert "0.5 seconds (JOB_TIMEOUT)" in status["error"]
        assert slowest < 2
        assert server.result(server.submit(steps=1))["state"] == "done"


def test_a_stop_gives_the_running_job_back_and_the_next_start_runs_it(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0.02) as server:
        job_id = server.submit(steps=50)
        server.wait_for_state(job_id, "processing")
        family = server.family
        assert server.stop() < 5
        _, alive = psutil.wait_procs(family, timeout=5)
        assert not alive
        assert "Traceback" not in server.log()
        server.start()
        assert server.result(job_id)["state"] == "done"
        assert server.log().count("started, attempt 1") == 2  # the first one was not counted


def test_ctrl_c_ends_the_server_as_a_stop_does(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0.05) as server:
        job_id = server.submit(steps=500)
        server.wait_for_state(job_id, "processing")
        assert server.process is not None
        for one in server.family:  # a terminal sends it to all of them
            one.send_signal(signal.SIGINT)
        server.process.wait(timeout=5)
        assert "given back to the queue" in server.log()


def test_several_server_processes_share_the_work_of_one_engine(tmp_path: Path) -> None:
    with Server(tmp_path, uvicorn=["--workers", "3"], fake_step_seconds=0.002) as server:
        jobs = [server.submit(steps=5) for _ in range(15)]
        for job_id in jobs:
            assert server.result(job_id)["state"] == "done"
        assert len(server.engines) == 1
        log = server.log()
        assert {log.count(f"job={job_id}: finished in") for job_id in jobs} == {1}
        assert server.stop() < 5


def test_when_the_process_with_the_engine_is_killed_another_takes_over(tmp_path: Path) -> None:
    with Server(tmp_path, uvicorn=["--workers", "3"], fake_step_seconds=0.02) as server:
        job_id = server.submit(steps=60)
        server.wait_for_state(job_id, "processing")
        (engine,) = server.engines
        owner = engine.parent()
        assert owner is not None
        owner.kill()
        assert server.result(job_id)["state"] == "done"
        assert "its worker vanished; running it again" in server.log()
        server.stop()
