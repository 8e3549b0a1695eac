"""Miniature ControlNets for miniature models, in the layouts that people share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import save_file

from diffusionapi.engine.models.original import controlnet

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


def make(model: Path, folder: Path, *, seed: int = 11, pools: bool = False) -> Path:
    """A folder of diffusers: a copy of half of the model's UNet, which already adds something of its own."""
    unet = UNet2DConditionModel.from_pretrained(model / "unet", dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ControlNetModel.from_unet(unet)
        for name, weight in net.named_parameters():
            if name.startswith(("controlnet_down_blocks", "controlnet_mid_block")) or "conv_out" in name:
                torch.nn.init.normal_(weight, std=0.1)
    net.register_to_config(global_pool_conditions=pools)
    net.save_pretrained(folder)
    return folder


def weights(folder: Path) -> dict[str, Tensor]:
    net = ControlNetModel.from_pretrained(folder)
    return {name: one.contiguous() for name, one in net.state_dict().items()}


def as_file(folder: Path, file: Path) -> Path:
    """The same in one file, with diffusers' names."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights(folder), file, {"format": "pt"})
    return file


def as_original(folder: Path, file: Path, prefix: str = "control_model.") -> Path:
    """The same in one file, with the names of ControlNet's own code."""
    file.parent.mkdir(parents=True, exist_ok=True)
    origin = controlnet(ControlNetModel.load_config(folder), prefix)
    save_file({origin(name).name: one for name, one in weights(folder).items()}, file)
    return file
