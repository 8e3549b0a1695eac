"""The names of original checkpoints are those that diffusers' own converters know, at full size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

from benchmarks.random_model import in_original_layout, plan_of
from diffusionapi.engine.models import original
from diffusionapi.weights import folders, shapes
from diffusionapi.weights.families import CONFIGS, TEXT_ENCODERS, Family, family_of_tensors, published
from diffusionapi.weights.header import Entry, Header

PUBLISHED = ["sd1", "sd2-base", "sd2-v", "sdxl", "refiner"]
PARAMETERS = {
    # millions, as published
    "sd1": {"unet": 859.5, "vae": 83.65, "text_encoder": 123.06},
    "sd2-base": {"unet": 865.9, "vae": 83.65, "text_encoder": 340.4},
    "sd2-v": {"unet": 865.9, "vae": 83.65, "text_encoder": 340.4},
    "sdxl": {"unet": 2567.5, "vae": 83.65, "text_encoder": 123.06, "text_encoder_2": 694.7},
    "refiner": {"unet": 2259.5, "vae": 83.65, "text_encoder_2": 694.7},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_shipped_configurations_have_the_published_numbers_of_parameters(name: str) -> None:
    for component, millions in PARAMETERS[name].items():
        plan = plan_of(CONFIGS / name, component, 0)
        count = sum(torch.Size(shape).numel() for shape, _ in plan.values())
        assert count / 1e6 == pytest.approx(millions, rel=1e-4), component


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_shapes_of_a_full_size_checkpoint_give_back_the_published_configurations(name: str) -> None:
    folder = CONFIGS / name
    tensors: dict[str, Entry] = {}
    for component in PARAMETERS[name]:
        plan = in_original_layout(folder, component, plan_of(folder, component, 0))
        tensors |= {one: Entry("F16", tuple(shape)) for one, (shape, _) in plan.items()}
    header = Header(folder / "one.safetensors", tensors)
    family = family_of_tensors(header)
    prediction: Any = "v_prediction" if name == "sd2-v" else "epsilon"
    assert family == folders.family(folder)
    for component in PARAMETERS[name]:
        read = _config(header, family, prediction, component)
        wanted = dict(published(family, prediction, component))
        if component == "unet":
            wanted.setdefault("transformer_layers_per_block", 1)
            if name == "refiner":  # 4 everywhere, but its first level has no attention
                wanted["transformer_layers_per_block"] = [1, 4, 4, 4]
        assert read == wanted, component


def _config(header: Header, family: Family, prediction: Any, component: str) -> dict[str, Any]:
    if component == "unet":
        return shapes.unet(header, family, prediction)
    if component == "vae":
        return shapes.vae(header, family, prediction)
    encoder = next(one for one in TEXT_ENCODERS[family] if one.folder == component)
    return shapes.text_encoder(header, family, prediction, encoder)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_name_of_the_unet_is_what_diffusers_makes_of_its_origin(name: str) -> None:
    config = folders.read_config(CONFIGS / name / "unet" / "config.json")
    names = list(plan_of(CONFIGS / name, "unet", 0))
    origin = original.unet(config)
    marked = {origin(one).name: torch.tensor(float(number)) for number, one in enumerate(names)}
    assert len(marked) == len(names)
    config.setdefault("class_embed_type", None)
    config.setdefault("addition_embed_type", None)
    converted = convert_ldm_unet_checkpoint(dict(marked), config)
    assert {one: int(converted[one]) for one in converted} == {
        one: number for number, one in enumerate(names)
    }


def test_every_name_of_the_vae_is_what_diffusers_makes_of_its_origin() -> None:
    config = folders.read_config(CONFIGS / "sd1" / "vae" / "config.json")
    names = list(plan_of(CONFIGS / "sd1", "vae", 0))
    origin = original.vae(config)
    marked = {
        # the converter squeezes attention weights from one-pixel convolutions
        origin(one).name: torch.full((1, 1, 1, 1), float(number))
        for number, one in enumerate(names)
    }
    assert len(marked) == len(names)
    converted = convert_ldm_vae_checkpoint(dict(marked), config)
    assert {one: int(converted[one].flatten()[0]) for one in converted} == {
        one: number for number, one in enumerate(names)
    }
