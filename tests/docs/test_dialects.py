"""The pages on dialects: their programs run, their JSON is JSON, and no field of a request is left out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from diffusionapi.api.primary.img2img_schemas import ImgInfoRequest, InpaintRequest
from tests.server import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from tests.server import Server

PAGES = sorted((PROJECT / "docs" / "dialects").glob("*.md"))
ACCOUNTS = {"stream-0-python", "tasks-0-python", "backlog-0-python", "backlog-3-python"}
"""Programs that want a server of their own; test_docs.py of their dialect runs them."""
WHOLE_PAGES = ("v3-",)
"""Of these it runs them all."""
BLOCKS = [
    pytest.param(kind, text, id=f"{page.stem}-{number}-{kind}")
    for page in PAGES
    for number, (kind, text) in enumerate(
        re.findall(r"```(python|json)\n(.*?)```", page.read_text(), re.DOTALL)
    )
]


@pytest.mark.parametrize(("kind", "text"), [one for one in BLOCKS if one.values[0] == "json"])
def test_json_is_json(kind: str, text: str) -> None:
    assert json.loads(text), kind


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        one
        for one in BLOCKS
        if one.values[0] == "python" and one.id not in ACCOUNTS and not str(one.id).startswith(WHOLE_PAGES)
    ],
)
def test_a_program_runs_and_leaves_a_picture(kind: str, text: str, server: Server, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((96, 64)).save(tmp_path / "castle.jpg")
    program = text.replace("http://localhost:7866", server.url)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
    assert {"castle.jpg"} < {one.name for one in tmp_path.iterdir()}, kind


@pytest.mark.parametrize("model", [InpaintRequest, ImgInfoRequest])
def test_every_field_of_the_primary_api_is_on_its_page(model: type[BaseModel]) -> None:
    page = (PROJECT / "docs" / "dialects" / "primary.md").read_text()
    assert [name for name in model.model_fields if f"`{name}`" not in page and f'"{name}"' not in page] == []
