"""Uploads of a real server: what a kill, a restart, a sweep and a stop do to them."""

from __future__ import annotations

import base64
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from tests.intake.listener import Listener, an_answer
from tests.intake.pictures import a_file
from tests.server import WEB, Server, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def submit(server: Server, image: str) -> httpx.Response:
    body = {"image": image, "prompt": "a harbour", "width": 64, "height": 64}
    return WEB.post(f"{server.url}/img2img", json=body, timeout=30)


def age(folder: Path) -> set[str]:
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    return {path.name for path in folder.iterdir()}


def test_an_old_upload_of_a_waiting_job_is_there_after_a_kill_and_one_of_nobody_is_not(
    tmp_path: Path,
) -> None:
    image = base64.b64encode(a_file()).decode()
    with Server(tmp_path, workers=0, upload_ttl=60) as server:
        answer = submit(server, image)
        assert answer.status_code == 200, answer.text
        server.kill()
    (needed,) = age(tmp_path / "uploads")
    unused = tmp_path / "uploads" / "00000000-0000-4000-8000-000000000000.png"
    unused.write_bytes(a_file())
    age(tmp_path / "uploads")
    with Server(tmp_path, upload_ttl=60, fake_step_seconds=0.2) as server:
        wait_until(lambda: not unused.exists(), 30, server.log)
        assert server.result(answer.json()["job_id"])["state"] == "done"
        assert (tmp_path / "uploads" / needed).exists()


def test_a_url_that_never_ends_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with (
        Listener({"/a.png": an_answer(a_file())}, dribble=0.5) as slow,
        Server(tmp_path, workers=0, allow_private_urls=True, fetch_timeout=60) as server,
    ):
        answers: list[int] = []

        def ask() -> None:
            with suppress(httpx.TransportError):
                answers.append(submit(server, f"{slow.url}/a.png").status_code)

        client = threading.Thread(target=ask)
        client.start()
        wait_until(lambda: slow.requests, 10, server.log)
        assert server.stop() < 5
        client.join()
        assert answers == [422]


def test_a_url_on_this_machine_is_refused_with_the_one_sentence(server: Server) -> None:
    began = time.monotonic()
    sentences = {
        submit(server, url).text
        for url in (
            f"{server.url}/../livez",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "file:///",
        )
    }
    assert len(sentences) == 1
    assert "public web server" in sentences.pop()
    assert time.monotonic() - began < 10
