"""What the README promises is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops, ImageStat

from diffusionapi.settings import Settings
from tests.server import PROJECT

if TYPE_CHECKING:
    from tests.server import Server

README = (PROJECT / "README.md").read_text()


def test_every_setting_is_listed_with_its_meaning() -> None:
    for name, field in Settings.model_fields.items():
        assert f"| `{name.upper()}` |" in README
        assert f"| {field.description} |" in README


def test_every_endpoint_is_listed(server: Server) -> None:
    for path in server.get("/openapi.json").json()["paths"]:
        assert f"{path}`" in README, path


def test_every_link_to_a_file_leads_somewhere() -> None:
    pages = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_python_example_gives_a_picture(server: Server, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    program = program.replace("http://localhost:7866", server.url)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
    with Image.open(tmp_path / "castle.jpg") as picture:
        assert picture.size == (512, 512)


PAINTED = re.findall(r'^paint "(.+)" (\d+) (\w+\.jpg)$', README, re.MULTILINE)


def test_its_pictures_have_commands_beside_them() -> None:
    shown = re.findall(r"\]\(docs/pictures/(\w+\.jpg)\)", README)
    assert [name for *_, name in PAINTED] == shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompt", "seed", "name"),
    [PAINTED[0], *(pytest.param(*one, marks=pytest.mark.long) for one in PAINTED[1:])],
)
def test_its_pictures_are_made_by_the_commands_beside_them(
    prompt: str, seed: str, name: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "diffusionapi.generate", "--prompt", prompt, "--seed", seed]
    subprocess.run([*command, "--out", tmp_path / name], cwd=PROJECT, check=True, timeout=100)
    with Image.open(tmp_path / name) as made, Image.open(PROJECT / "docs/pictures" / name) as known:
        assert max(ImageStat.Stat(ImageChops.difference(made, known)).mean) < 6


@pytest.mark.parametrize("word", ["TODO", "FIXME", f"{PROJECT}/", f"{Path.home()}/"])
def test_the_project_speaks_of_itself_alone(word: str) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        path = PROJECT / name
        if path.suffix in {".py", ".md", ".sh", ".toml", ".json"} and path.name != "test_readme.py":
            assert word not in path.read_text(), f"{name} says {word}"
