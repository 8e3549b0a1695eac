"""A disk that is full, or a folder that is gone, in the middle of a server's life."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.server import WEB, Server, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 3 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    command = [mount, "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield disk
    subprocess.run([umount, "-l", str(disk)], check=True)


def test_a_full_disk_refuses_jobs_with_507_and_the_server_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    with Server(tmp_path, job_store=f"file:{small_disk}/queue", fake_step_seconds=0.001) as server:
        assert server.result(server.submit(steps=1))["state"] == "done"
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"\0" * 4096)
        answers = [WEB.post(f"{server.url}/txt2img", json={"prompt": "x"}, timeout=30) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {507}
        assert "No space left" in answers[0].json()["error"]
        assert server.get("/readyz").status_code == 503
        assert not [one for one in (small_disk / "queue").iterdir() if one.suffix == ".json"]
        filler.unlink()
        assert server.result(server.submit(steps=1))["state"] == "done"


def test_pictures_wait_for_room_on_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    with Server(tmp_path, outputs_dir=small_disk, fake_step_seconds=0.001) as server:
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"\0" * 4096)
        job_id = server.submit(steps=1)
        wait_until(lambda: "waiting for storage" in server.log(), 20)
        assert server.status(job_id)["state"] == "processing"
        filler.unlink()
        assert server.result(job_id)["state"] == "done"


def test_a_queue_folder_that_vanishes_is_a_503_and_not_the_end(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0.001) as server:
        assert server.result(server.submit(steps=1))["state"] == "done"
        (tmp_path / "queue").rename(tmp_path / "elsewhere")
        answer = WEB.post(f"{server.url}/txt2img", json={"prompt": "x"}, timeout=30)
        assert answer.status_code == 503
        assert answer.json()["status"] == "error"
        assert server.get("/hello").status_code == 200
        (tmp_path / "elsewhere").rename(tmp_path / "queue")
        assert server.result(server.submit(steps=1))["state"] == "done"


def test_a_strangers_job_file_becomes_an_error_of_that_job(server: Server) -> None:
    broken = "00000000-0000-4000-8000-00000000beef"
    (server.data_dir / "queue" / f"{broken}_job.json").write_text("{ this is not")
    assert server.result(server.submit(steps=1))["state"] == "done"
    assert server.get(f"/queue/{broken}").json()["state"] in ("queued", "error")
