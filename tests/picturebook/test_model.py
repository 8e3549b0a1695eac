"""The model as it lies in the repository: small, laid out as the published one, loaded by anybody."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open

from tests.picturebook.studio import MODEL, colour, corners, middle
from training.picturebook.sheet import pictures

pytestmark = pytest.mark.slow

PARTS = {
    "scheduler": "EulerDiscreteScheduler",
    "text_encoder": "CLIPTextModel",
    "tokenizer": "CLIPTokenizer",
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
}


def test_it_has_the_parts_of_the_published_one_and_is_small() -> None:
    index = json.loads((MODEL / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert {name: one[1] for name, one in index.items() if isinstance(one, list) and one[0]} == PARTS
    assert sum(file.stat().st_size for file in MODEL.rglob("*") if file.is_file()) <= 15e6


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_its_large_parts_are_in_half_precision(part: str) -> None:
    with safe_open(MODEL / part / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118


@pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")
def test_a_plain_pipeline_of_diffusers_paints_with_it() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(MODEL)
    pipeline.set_progress_bar_config(disable=True)
    prompt = ["a big red circle on a white background", "a big blue square on a yellow background"]
    shown = pictures(pipeline, prompt, size=256, steps=20, guidance=5, seed=1)
    found = [(colour(middle(one)), colour(corners(one))) for one in map(np.asarray, shown)]
    assert found == [("red", "white"), ("blue", "yellow")]
