"""What a ControlNet is, in each of the layouts that people share; what is none is refused with a reason."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import ControlNetModel, UNet2DConditionModel

from diffusionapi.engine.models.original import controlnet
from diffusionapi.errors import BrokenModel
from diffusionapi.weights.controlnets import config, inspect
from diffusionapi.weights.families import Family, published
from tests import stubs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FAMILIES: list[Family] = ["sd1", "sd2", "sdxl"]
LAYOUTS = ["folder", "diffusers", "original", "without prefix"]


def published_net(family: Family) -> ControlNetModel:
    """Of the true size, without memory for its weights: a copy of the published UNet, by diffusers."""
    with init_empty_weights():
        unet = UNet2DConditionModel.from_config(dict(published(family, "epsilon", "unet")))
        return ControlNetModel.from_unet(unet, load_weights_from_unet=False)


def sparse(file: Path, shapes: Mapping[str, Sequence[int]]) -> Path:
    """A safetensors file with these tensors that takes no room on the disk."""
    table, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * int(torch.Size(shape).numel())
        table[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    header = json.dumps(table).encode()
    with file.open("wb") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        out.truncate(8 + len(header) + end)
    return file


def in_layout(layout: str, net: ControlNetModel, root: Path) -> Path:
    shapes = {name: tuple(one.shape) for name, one in net.state_dict().items()}
    if layout == "folder":
        net.save_config(root / "net")
        sparse(root / "net" / "diffusion_pytorch_model.safetensors", shapes)
        return root / "net"
    if layout != "diffusers":
        origin = controlnet(dict(net.config), "control_model." if layout == "original" else "")
        shapes = {origin(name).name: shape for name, shape in shapes.items()}
    return sparse(root / "net.safetensors", shapes)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_family_and_every_layer_are_told_from_the_files(
    family: Family, layout: str, tmp_path: Path
) -> None:
    net = published_net(family)
    found = inspect(in_layout(layout, net, tmp_path))
    assert found.family == family
    assert found.parameters == sum(one.numel() for one in net.state_dict().values())
    assert found.bytes == 2 * found.parameters
    with init_empty_weights():
        made = ControlNetModel.from_config(config(found))
    expected = {name: one.shape for name, one in net.state_dict().items()}
    assert {name: one.shape for name, one in made.state_dict().items()} == expected
    heads = [one.heads for one in made.modules() if hasattr(one, "heads")]
    assert heads == [one.heads for one in net.modules() if hasattr(one, "heads")]


def test_the_names_of_the_original_are_those_that_diffusers_converts() -> None:
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    net = published_net("sd1")
    origin = controlnet(dict(net.config), "control_model.")
    checkpoint = {origin(name).name: name for name in net.state_dict()}
    converted = convert_controlnet_checkpoint(checkpoint, dict(net.config))
    assert converted == {name: name for name in net.state_dict()}


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"lora_controlnet": (1, 1)}, "Control-LoRA"),
        ({"lora_unet_down.lora_down.weight": (1, 1)}, "it is a LoRA"),
        ({"model.diffusion_model.input_blocks.0.0.weight": (1, 1)}, "a whole model"),
        ({"body.0.in_conv.weight": (1, 1)}, "T2I-Adapter"),
        ({"controlnet_blocks.0.weight": (1, 1)}, "made for Flux"),
        ({"something.weight": (1, 1)}, "it holds no ControlNet"),
    ],
)
def test_what_is_no_controlnet_is_said_to_be_what_it_is(
    tensors: dict[str, tuple[int, int]], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(BrokenModel, match=reason):
        inspect(stubs.a_file(tmp_path / "net.safetensors", tensors))


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "ControlNetUnionModel"}')
    with pytest.raises(BrokenModel, match="it describes a ControlNetUnionModel"):
        inspect(tmp_path)


def test_a_net_that_was_not_downloaded_to_the_end_is_refused(tmp_path: Path) -> None:
    whole = in_layout("original", published_net("sd1"), tmp_path)
    os.truncate(whole, 500_000)
    with pytest.raises(BrokenModel, match="cut short"):
        inspect(whole)


def test_a_net_that_shuffles_says_what_and_not_where(tmp_path: Path) -> None:
    file = in_layout("original", published_net("sd1"), tmp_path)
    assert not config(inspect(file))["global_pool_conditions"]
    shuffling = file.rename(tmp_path / "control_v11e_sd15_shuffle.safetensors")
    assert config(inspect(shuffling))["global_pool_conditions"]
