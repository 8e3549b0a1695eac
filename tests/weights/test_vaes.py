"""What a file or folder of a VAE is, told from headers alone, and which it is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from diffusionapi.errors import BrokenModel
from diffusionapi.weights import inspection, vaes
from diffusionapi.weights.families import published
from tests import stubs

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.weights.families import Family

WIDTHS = [128, 256, 512, 512]


def original(latents: int = 4, prefix: str = "", widths: list[int] = WIDTHS) -> dict[str, tuple[int, ...]]:
    """Of each level the tensors by which it is told, as CompVis names them."""
    levels: dict[str, tuple[int, ...]] = {
        f"{prefix}encoder.down.{level}.block.{layer}.conv1.weight": (width, 1)
        for level, width in enumerate(widths)
        for layer in range(2)
    }
    return levels | {f"{prefix}decoder.conv_in.weight": (512, latents)}


def diffusers(latents: int = 4) -> dict[str, tuple[int, ...]]:
    levels: dict[str, tuple[int, ...]] = {
        f"encoder.down_blocks.{level}.resnets.{layer}.conv1.weight": (width, 1)
        for level, width in enumerate(WIDTHS)
        for layer in range(2)
    }
    return levels | {"decoder.conv_in.weight": (512, latents)}


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
def test_a_file_in_the_original_layout(tmp_path: Path, prefix: str) -> None:
    found = vaes.inspect(stubs.a_file(tmp_path / "vae.safetensors", original(prefix=prefix)))
    assert (found.layout, found.prefix, found.scaling_factor) == ("original", prefix, None)
    assert found.parameters == 2 * sum(WIDTHS) + 512 * 4
    assert vaes.config(found) == published("sd1", "epsilon", "vae")


def test_a_file_in_diffusers_layout(tmp_path: Path) -> None:
    found = vaes.inspect(stubs.a_file(tmp_path / "vae.safetensors", diffusers()))
    assert (found.layout, found.scaling_factor) == ("diffusers", None)
    assert vaes.config(found) == published("sd1", "epsilon", "vae")


@pytest.mark.parametrize(("family", "factor"), [("sd1", 0.18215), ("sd2", 0.18215), ("sdxl", 0.13025)])
def test_a_folder_says_how_it_scales(tmp_path: Path, family: Family, factor: float) -> None:
    found = vaes.inspect(stubs.a_vae(tmp_path / "vae", family))
    assert (found.layout, found.scaling_factor) == ("folder", factor)


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (original(16), "16 channels"),
        (diffusers(16), "16 channels"),
        (original(widths=[128, 256, 512]), "stands for 4 pixels"),
        ({"encoder.layers.0.weight": (1, 1)}, "tiny autoencoder"),
        ({"lora_unet_x.lora_up.weight": (1, 1)}, "it is a LoRA"),
        ({"something": (1, 1)}, "it holds no VAE"),
    ],
)
def test_other_files_are_refused_with_what_they_are(
    tmp_path: Path, tensors: dict[str, tuple[int, ...]], sentence: str
) -> None:
    with pytest.raises(BrokenModel, match=sentence):
        vaes.inspect(stubs.a_file(tmp_path / "other.safetensors", tensors))


def test_a_folder_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenModel, match="AutoencoderKL is needed"):
        vaes.inspect(stubs.a_controlnet(tmp_path / "net"))


def test_a_folder_that_shifts_its_latents_is_refused(tmp_path: Path) -> None:
    folder = stubs.a_vae(tmp_path / "shifting", "sdxl")
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"latents_mean": [0.1] * 4}))
    with pytest.raises(BrokenModel, match=r"shifting/config\.json cannot be used: it shifts its latents"):
        vaes.inspect(folder)


def test_a_vae_for_other_latents_does_not_fit(tmp_path: Path) -> None:
    families: list[Family] = ["sd1", "sd2", "sdxl"]
    models = {one: inspection.inspect(stubs.a_model(tmp_path / one, one)) for one in families}
    folders = {one: vaes.inspect(stubs.a_vae(tmp_path / f"{one}-vae", one)) for one in families}
    fits = {
        (one, other): vaes.unfit(folders[one], models[other]) is None for one in models for other in models
    }
    assert fits == {(one, other): (one == "sdxl") == (other == "sdxl") for one in models for other in models}
    said = vaes.unfit(folders["sdxl"], models["sd1"])
    assert said == "is for latents of another kind: it scales them by 0.13025, and the model by 0.18215"
    file = vaes.inspect(stubs.a_file(tmp_path / "vae.safetensors", original()))
    assert all(vaes.unfit(file, one) is None for one in models.values()), "a file does not say"


def test_a_model_scales_as_its_own_configuration_says(tmp_path: Path) -> None:
    folder = stubs.a_model(tmp_path / "mine")
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"scaling_factor": 0.5}))
    vae = vaes.inspect(stubs.a_vae(tmp_path / "vae"))
    assert vaes.unfit(vae, inspection.inspect(folder)) is not None
