"""How large the pictures of a model are by nature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffusionapi.weights.inspection import Found, inspect
from diffusionapi.weights.sizes import native_size
from tests.stubs import a_model

if TYPE_CHECKING:
    from diffusionapi.weights.families import Family, Prediction


@pytest.mark.parametrize(("family", "size"), [("sd1", 512), ("sd2", 512), ("sdxl", 1024)])
def test_a_folder_says_it_itself(tmp_path: Path, family: Family, size: int) -> None:
    folder = a_model(tmp_path / family, family)
    assert native_size(inspect(folder)) == size
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sample_size": 48}))
    assert native_size(inspect(folder)) == 384


@pytest.mark.parametrize(
    ("family", "prediction", "size"),
    [("sd1", "epsilon", 512), ("sd2", "v_prediction", 768), ("sdxl", "epsilon", 1024)],
)
def test_of_a_single_file_it_is_that_of_its_family(family: Family, prediction: Prediction, size: int) -> None:
    assert native_size(Found(Path("any.safetensors"), family, prediction, "file", 0, 0)) == size
