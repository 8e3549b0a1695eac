"""Models and LoRAs of a few bytes that pass every look at their files and cannot draw; made without torch."""

from __future__ import annotations

import json
import math
import shutil
import struct
from typing import TYPE_CHECKING

from diffusionapi.weights import folders
from diffusionapi.weights.families import CONFIGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from diffusionapi.weights.families import Family

_PUBLISHED: dict[Family, str] = {"sd1": "sd1", "sd2": "sd2-base", "sdxl": "sdxl", "refiner": "refiner"}
WIDTHS: dict[Family, int] = {"sd1": 768, "sd2": 1024, "sdxl": 2048, "refiner": 1280}
LISTENING = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"


def a_model(folder: Path, family: Family = "sd1") -> Path:
    """A diffusers folder with the published configuration, and weights without a tensor."""
    shutil.copytree(CONFIGS / _PUBLISHED[family], folder)
    for component in folders.components(family):
        stem = "model" if component.startswith("text") else "diffusion_pytorch_model"
        a_file(folder / component / f"{stem}.safetensors", {})
    return folder


def a_controlnet(folder: Path, family: Family = "sd1") -> Path:
    """A diffusers folder with the published configuration of its UNet, and weights without a tensor."""
    folder.mkdir(parents=True)
    config = json.loads((CONFIGS / _PUBLISHED[family] / "unet" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "ControlNetModel"}))
    a_file(folder / "diffusion_pytorch_model.safetensors", {})
    return folder


def a_vae(folder: Path, family: Family = "sd1") -> Path:
    """A diffusers folder with the published configuration, and weights without a tensor."""
    shutil.copytree(CONFIGS / _PUBLISHED[family] / "vae", folder)
    a_file(folder / "diffusion_pytorch_model.safetensors", {})
    return folder


def a_lora(file: Path, family: Family = "sd1") -> Path:
    """One layer, of rank 1, by whose width the family is told."""
    width = WIDTHS[family]
    return a_file(
        file, {f"{LISTENING}.lora_down.weight": (1, width), f"{LISTENING}.lora_up.weight": (320, 1)}
    )


def a_file(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """A safetensors file of zeros in half precision."""
    table, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        table[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    header = json.dumps(table).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(end))
    return file
