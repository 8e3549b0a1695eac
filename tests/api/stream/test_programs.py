"""Other people's clients watch a picture appear: a command line, a browser, the examples of the page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from diffusionapi.api.stream import closing
from diffusionapi.api.stream.schemas import StreamRequest
from diffusionapi.settings import PROJECT
from tests.api.stream.client import KEY, SMALL, Client
from tests.browser import chromium
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

PAGE = (PROJECT / "docs/dialects/stream.md").read_text()


def example(language: str, server: Server) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert isinstance(found, str)
    return found.replace("ws://localhost:7866", server.url.replace("http", "ws"))


@pytest.fixture(scope="module")
def visible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Steps slow enough to be seen."""
    folder = tmp_path_factory.mktemp("visible")
    with Server(folder, api_keys=KEY, stream_max_wait=30, fake_step_seconds=0.1) as server:
        yield server


def test_the_command_line_of_websockets_watches_a_picture_appear(visible: Server) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "websockets", f"{Client(visible).url}?token={KEY}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        # The input stays open, as a terminal's does: its end would be the end of the program.
        program.stdin.write(json.dumps(SMALL | {"steps": 10}) + "\n")
        program.stdin.flush()
        printed = program.stdout.read()
        program.stdin.close()
    frames: list[dict[str, Any]] = [json.loads(one) for one in re.findall(r"< (\{.*\})", printed)]
    assert [one["step"] for one in frames] == list(range(1, 11))
    assert len({one["image"] for one in frames}) > 2
    assert "Connection closed: 1000 (OK)" in printed
    assert closing.DONE.reason in printed


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


_WATCH = """
window.seen = []; window.drawn = [];
new MutationObserver(() => seen.push(progress.textContent)).observe(progress, {childList: true});
picture.addEventListener(
  "load", () => drawn.push([picture.naturalWidth, picture.src.slice(0, 15), picture.src.length])
);
"""


@pytest.mark.browser
def test_a_page_in_a_browser_watches_a_picture_appear(
    visible: Server, browser: Browser, tmp_path: Path
) -> None:
    text = example("html", visible).replace("<script>", f"<script>{_WATCH}", 1)
    (tmp_path / "page.html").write_text(text)
    page = browser.new_page()
    page.goto(f"file://{tmp_path}/page.html#{KEY}")
    page.wait_for_function("seen.at(-1)?.includes('1000')", timeout=60_000)
    seen, drawn = page.evaluate("[seen, drawn]")
    shot = page.locator("#picture").screenshot()
    page.close()
    assert seen[:-1] == [f"{step} of 20" for step in range(1, 21)]
    assert seen[-1] == f"20 of 20 (1000: {closing.DONE.reason})"
    assert {width for width, _, _ in drawn} == {512}
    assert drawn[-1][1].startswith("data:image/png")
    assert len({length for _, _, length in drawn}) > 3  # one after the other
    assert shot.startswith(b"\x89PNG")


@pytest.mark.browser
def test_a_page_reads_why_it_is_turned_away(visible: Server, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(example("html", visible))
    page = browser.new_page()
    page.goto(f"file://{tmp_path}/page.html#wrong")
    page.wait_for_function("progress.textContent.includes('3000')", timeout=60_000)
    assert '"code":403' in str(page.evaluate("progress.textContent"))
    page.close()


def test_the_python_example_makes_a_picture(stream_server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", example("python", stream_server)],
        cwd=tmp_path,
        env=os.environ | {"API_KEY": KEY},
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [f"{step} of 20" for step in range(1, 21)]
    with Image.open(tmp_path / "balloon.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (512, 512))


def test_every_field_and_code_is_on_the_page() -> None:
    for name, field in StreamRequest.model_fields.items():
        (row,) = re.findall(rf"^\| `{name}` \|([^|]*)\|", PAGE, re.MULTILINE)
        default = "none" if field.default is None else str(field.default)
        assert row.strip(" `") == ("" if field.is_required() else default), name
    errors = (closing.NoEngine(), closing.NoSuchPath(), closing.TooSlow(""), ValueError())
    for one in (closing.DONE, *(closing.after(error) for error in errors)):
        assert f"| {one.code} | {one.api_code} |" in PAGE
