"""The examples of the documentation run as they stand, and its tables leave nothing out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from diffusionapi.api.backlog.schemas import DiffusionRequest
from diffusionapi.settings import PROJECT
from diffusionapi.webhooks.signing import shared
from tests.api.backlog.client import Client, a_client, clients_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server import Server

PAGE = (PROJECT / "docs/dialects/backlog.md").read_text()
POLLING, CALLBACKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(SHELL,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def reader(backlog_server: Server) -> Client:
    """Who reads the page, and has a client made."""
    return a_client(backlog_server, f"reader-{uuid.uuid4()}")


def ran(command: list[str], program: str, reader: Client, folder: Path) -> str:
    clients = clients_in(reader.server.data_dir)
    own = {
        "CLIENT_TOKEN": reader.token,
        "CLIENT_SECRET": reader.secret,
        "SIGNING_KEY": shared(clients.signing_key(reader.token)),
    }
    clients.close()
    done = subprocess.run(
        [*command, program.replace("http://localhost:7866", reader.server.url)],
        cwd=folder,
        env=os.environ | own,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_the_example_that_polls_leaves_its_pictures(reader: Client, tmp_path: Path) -> None:
    ran([sys.executable, "-c"], POLLING, reader, tmp_path)
    for name in ("boat-0.png", "boat-1.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (512, 512)


def test_the_example_that_is_called_back_is_told_all_and_keeps_the_picture(
    reader: Client, tmp_path: Path
) -> None:
    said = ran([sys.executable, "-c"], CALLBACKS, reader, tmp_path)
    assert [line.split()[0] for line in said.splitlines()] == ["1", "2", "4", "5"]
    (file,) = tmp_path.iterdir()
    with Image.open(file) as picture:
        assert picture.size == (320, 320)


def test_the_shell_example_runs(reader: Client, tmp_path: Path) -> None:
    said = ran(["sh", "-ec"], SHELL, reader, tmp_path)
    assert '"uid":' in said
    assert '"domain":"https://example.com"' in said


def test_every_field_of_a_request_is_on_the_page() -> None:
    assert [name for name in DiffusionRequest.model_fields if f"`{name}`" not in PAGE] == []
