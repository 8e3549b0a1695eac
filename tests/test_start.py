"""`python -m diffusionapi`: what a new user sees, and the curl line it prints."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from diffusionapi.__main__ import banner, port_problem
from diffusionapi.settings import Settings
from tests.server import clean_environment, free_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_line_it_prints_gives_a_picture(tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "diffusionapi"],
            env=clean_environment(tmp_path, port=port, host="127.0.0.1"),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: "running on" in log.read_text(), 30, log.read_text)
        printed = log.read_text()
        assert f"Docs:     http://127.0.0.1:{port}/docs" in printed
        (line,) = [one for one in printed.splitlines() if "curl" in one]
        command = line.partition("Picture:")[2].strip()
        subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True, timeout=60)
        with Image.open(tmp_path / "picture.jpg") as picture:
            assert picture.size == (512, 512)
    finally:
        server.terminate()
        server.wait(timeout=10)


def test_https_is_chosen_when_certificate_and_key_are_there(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert "http://localhost:7866" in banner(settings)
    (tmp_path / "cert.pem").touch()
    assert "http://localhost:7866" in banner(settings)
    (tmp_path / "key.pem").touch()
    assert settings.tls_files == (tmp_path / "cert.pem", tmp_path / "key.pem")
    assert "https://localhost:7866" in banner(settings)
    assert settings.model_copy(update={"ssl_certfile": ""}).tls_files is None


def test_a_port_in_use_is_said_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        problem = port_problem("127.0.0.1", port)
    assert problem is not None
    assert f"PORT={port + 1} ./init.sh" in problem
    assert port_problem("127.0.0.1", free_port()) is None
