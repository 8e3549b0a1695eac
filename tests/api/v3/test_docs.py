"""The page of this API: each of its examples runs as it stands, and its tables leave no field out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from diffusionapi.api.v3 import generation_schemas, misc_schemas, training_schemas
from diffusionapi.settings import PROJECT
from tests.api.v3.house import KEY, a_part
from tests.server import Server
from tests.stubs import a_file, a_lora, a_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import BaseModel

PAGE = (PROJECT / "docs/dialects/v3.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FIRST, PICTURES = PYTHON[:2]
FEATURES = re.findall(r"### (\d+)\. [^\n]+\n(.*?)(?=\n##)", PAGE, re.DOTALL)
"""The twelve that the API's own documents list, by their numbers."""
SIZES = {
    "house.png": (512, 512),
    "snow.png": (512, 512),
    "sun.png": (512, 512),
    "model-0.png": (512, 512),
    "model-1.png": (512, 512),
    "loras.png": (512, 512),
    "embedding.png": (512, 512),
    "controlled.png": (512, 512),
    "doubly-controlled.png": (512, 512),
    "upscaled.png": (1024, 1024),
    "super-resolution.png": (288, 192),
    "highres.png": (768, 768),
    "haus.png": (512, 512),
    "attentive.png": (512, 512),
    "dog.png": (512, 512),
    "skipped.png": (512, 512),
    "plain.png": (512, 512),
}
"""What the examples leave, in pixels."""


def furnish(folder: Path) -> None:
    """Under the names of the page; none of it can draw."""
    here = folder / "stable_diffusion"
    a_model(here / "models" / "picturebook", "sd1")
    for name in ("picturebook-autumn", "picturebook-night"):
        a_lora(here / "loras" / f"{name}.safetensors")
    a_file(here / "embeddings" / "picturebook-teal.safetensors", {"emb_params": (1, 768)})
    for name in ("edges-canny", "drawing-scribble"):
        a_part(here / "controlnet" / name, {"_class_name": "ControlNetModel", "cross_attention_dim": 768})
    translator = here / "translators" / "opus-mt-de-en"
    translator.mkdir(parents=True)
    (translator / "config.json").write_text(json.dumps({"model_type": "marian"}))
    (translator / "pytorch_model.bin").touch()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Who reads the page has a server with what it speaks of."""
    folder = tmp_path_factory.mktemp("reader")
    furnish(folder)
    with Server(folder, engine="fake", fake_step_seconds=0.002, api_keys=f"reader:{KEY}") as server:
        yield server


def give_pictures(folder: Path) -> None:
    """Those that the page says how to get."""
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(folder / "house.png")
    Image.linear_gradient("L").resize((96, 64)).save(folder / "mask.png")
    for number in range(1, 5):
        Image.new("RGB", (96, 96), (number * 40, 90, 60)).save(folder / f"dog-{number}.png")


def ran(command: list[str], program: str, reader: Server, folder: Path) -> str:
    done = subprocess.run(
        [*command, program.replace("http://localhost:7866", reader.url)],
        cwd=folder,
        env=os.environ | {"API_KEY": KEY},
        timeout=90,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{reader.log()[-3000:]}"
    return done.stdout


def made_by(program: str, reader: Server, folder: Path) -> set[str]:
    """The pictures that an example leaves."""
    give_pictures(folder)
    given = {one.name: one.read_bytes() for one in folder.iterdir()}
    ran([sys.executable, "-c"], FIRST + program, reader, folder)
    made = {one for one in folder.iterdir() if one.read_bytes() != given.get(one.name)}
    for one in made:
        with Image.open(one) as picture:
            assert (one.name, picture.size) == (one.name, SIZES[one.name])
    return {one.name for one in made}


def test_pictures_are_made_of_words_and_of_pictures(reader: Server, tmp_path: Path) -> None:
    assert made_by(PICTURES, reader, tmp_path) == {"house.png", "snow.png", "sun.png"}


def test_the_shell_example_runs(reader: Server, tmp_path: Path) -> None:
    (shell,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    answer = json.loads(ran(["sh", "-ec"], shell, reader, tmp_path))
    assert answer["status"] == "success"


@pytest.mark.parametrize(("number", "text"), FEATURES, ids=[number for number, _ in FEATURES])
def test_each_feature_has_an_example_that_runs(
    number: str, text: str, reader: Server, tmp_path: Path
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    made = made_by(program, reader, tmp_path)
    assert made == set(re.findall(r'"([a-z-]+\.png)"', program)) - {"house.png"} or number == "1"
    assert made


def test_what_is_made_larger_may_have_to_be_fetched(tmp_path: Path) -> None:
    furnish(tmp_path)
    (program,) = (one for one in PYTHON if "super_resolution" in one)
    folder = tmp_path / "reader"
    folder.mkdir()
    with Server(
        tmp_path, engine="fake", fake_step_seconds=0.002, api_keys=f"reader:{KEY}", v3_wait=0
    ) as patient:
        assert "super-resolution.png" in made_by(program, patient, folder)


def test_all_twelve_features_are_there() -> None:
    assert [int(number) for number, _ in FEATURES] == list(range(1, 13))
    assert len(PYTHON) == 2 + len(FEATURES)


@pytest.mark.parametrize(
    "model",
    [
        generation_schemas.Inpaint,
        generation_schemas.Controlled,
        generation_schemas.Enlargement,
        generation_schemas.FetchById,
        training_schemas.FineTuneBody,
        training_schemas.FineTuneV2Body,
        training_schemas.LoraFineTuneBody,
        misc_schemas.Crop,
        misc_schemas.Deletion,
        misc_schemas.Check,
        misc_schemas.LoadModel,
    ],
)
def test_every_field_of_a_request_is_on_the_page(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}`" not in PAGE] == []


def test_every_route_is_on_the_page(reader: Server) -> None:
    paths = reader.get("/openapi.json").json()["paths"]
    own = [path for path, one in paths.items() if one.get("post", {}).get("tags") == ["v3"]]
    assert len(own) > 20
    short = PAGE.replace("{training_id}", "").replace("{id}", "")
    for path in own:
        plain = re.sub(r"\{[a-z_]+\}", "", path)
        assert f"{plain}`" in short or _beside_others(plain), path


def _beside_others(path: str) -> bool:
    """Those of one kind are written once, with what may follow them."""
    listed = {"/api/v3/text2img": "", "/api/v3/img2img": "`img2img`", "/api/v3/inpaint": "`inpaint`"}
    if path in listed:
        return f"`{path}`" in PAGE or listed[path] in PAGE
    base, _, last = path.rpartition("/")
    return base.endswith("/dreambooth") and last in ("img2img", "inpaint")
