"""The examples of the documentation run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from diffusionapi.settings import PROJECT
from tests.api.tasks.client import a_png

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server import Server

PAGE = (PROJECT / "docs/dialects/tasks.md").read_text()


def example(language: str, server: Server) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert isinstance(found, str)
    return found.replace("http://localhost:7866", server.url)


def test_the_python_example_follows_a_task_to_its_picture(guarded_server: Server, tmp_path: Path) -> None:
    (tmp_path / "castle.jpg").write_bytes(a_png(96, 64))
    program = example("python", guarded_server)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.split("\n")[:3] == ["pending", "started", "finished"]
    assert (tmp_path / "sunset.png").read_bytes().startswith(b"\x89PNG")


def test_the_shell_example_runs(open_server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-ec", example("sh", open_server)],  # noqa: S607
        cwd=tmp_path,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert '"event_type":' in done.stdout
