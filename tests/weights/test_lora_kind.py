"""What a LoRA was made for is told by its layers and their widths; what does not tell is left open."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from diffusionapi.errors import BadRequest, BrokenModel
from diffusionapi.weights.families import LABELS, Family
from diffusionapi.weights.lora_kind import inspect
from tests import stubs

if TYPE_CHECKING:
    from pathlib import Path

ALL = tuple(LABELS)


def made_of(file: Path, layer: str, width: int = 32) -> Path:
    return stubs.a_file(file, {f"{layer}.lora_down.weight": (1, width), f"{layer}.lora_up.weight": (8, 1)})


@pytest.mark.parametrize("family", stubs.WIDTHS)
def test_the_width_of_what_a_unet_is_told_gives_the_family(family: Family, tmp_path: Path) -> None:
    found = inspect(stubs.a_lora(tmp_path / "one.safetensors", family))
    assert found.families == (found.family,) == (family,)
    assert found.bytes == (tmp_path / "one.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("layer", "families"),
    [
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", ("sd1", "sd2", "sdxl")),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1", ("sdxl", "refiner")),
        ("lora_unet_down_blocks_1_attentions_0_transformer_blocks_1_attn1_to_q", ("sdxl", "refiner")),
        ("lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q", ("sdxl", "refiner")),
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", ("sd1", "sd2")),
        ("lora_unet_mid_block_attentions_0_proj_in", ALL),
        ("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k", ALL),  # of an unusual width
    ],
)
def test_layers_that_only_some_families_have_narrow_it_down(
    layer: str, families: tuple[Family, ...], tmp_path: Path
) -> None:
    assert inspect(made_of(tmp_path / "one.safetensors", layer)).families == families


@pytest.mark.parametrize(
    ("layer", "network"),
    [
        ("lora_unet_double_blocks_0_img_attn_qkv", "Flux"),
        ("transformer.single_transformer_blocks.0.attn.to_q", "Flux"),
        ("lora_unet_joint_blocks_0_context_block_attn_qkv", "SD 3"),
        ("transformer.transformer_blocks.3.attn.to_q", "a transformer, such as Flux or SD 3"),
    ],
)
def test_loras_of_other_networks_are_refused_by_name(layer: str, network: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=f"^loras: 'one' was made for {network}, which this server does not"):
        inspect(made_of(tmp_path / "one.safetensors", layer))


def test_a_file_that_grew_whole_is_looked_at_again(tmp_path: Path) -> None:
    file = stubs.a_lora(tmp_path / "one.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    for _ in range(2):
        with pytest.raises(BrokenModel, match=r"one\.safetensors cannot be used: it is cut short at"):
            inspect(file)
    file.write_bytes(whole)
    assert inspect(file).family == "sd1"
    shutil.copy(stubs.a_lora(tmp_path / "two.safetensors", "sdxl"), file)
    assert inspect(file).family == "sdxl"
