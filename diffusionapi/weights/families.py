"""The families of models and what tells them apart: the configuration of a folder, the tensors of a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from diffusionapi.errors import BrokenModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from diffusionapi.weights.header import Header

Family = Literal["sd1", "sd2", "sdxl", "refiner"]
Prediction = Literal["epsilon", "v_prediction"]
Config = dict[str, Any]

LABELS: dict[Family, str] = {
    "sd1": "SD 1.x",
    "sd2": "SD 2.x",
    "sdxl": "SDXL",
    "refiner": "the SDXL refiner",
}
"""As sentences say them."""

CONFIGS = Path(__file__).parent / "configs"

UNET = "model.diffusion_model."
VAE = "first_stage_model."

XL_SIZES: dict[Family, int] = {"sdxl": 6, "refiner": 5}
"""Numbers of the size conditioning: original size, crop, target size (the refiner: a score for the last)."""

LATENT_CHANNELS, HOLE_CHANNELS = 4, 9
"""What a UNet takes: latents; one made for inpainting also a mask, and the latents of the masked picture."""

_PUBLISHED: dict[tuple[Family, Prediction], str] = {
    ("sd1", "epsilon"): "sd1",
    ("sd1", "v_prediction"): "sd1",
    ("sd2", "epsilon"): "sd2-base",
    ("sd2", "v_prediction"): "sd2-v",
    ("sdxl", "epsilon"): "sdxl",
    ("sdxl", "v_prediction"): "sdxl",
    ("refiner", "epsilon"): "refiner",
    ("refiner", "v_prediction"): "refiner",
}

_OTHER_KINDS = {
    "lora_unet_": "it is a LoRA; put it into the folder of LoRAs",
    "lora_te": "it is a LoRA; put it into the folder of LoRAs",
    "double_blocks.": "it is a Flux model, which this server does not run",
    "model.diffusion_model.double_blocks.": "it is a Flux model, which this server does not run",
    "model.diffusion_model.joint_blocks.": "it is an SD3 model, which this server does not run",
    "joint_blocks.": "it is an SD3 model, which this server does not run",
    "control_model.": "it is a ControlNet, not a whole model",
    "down_blocks.": "it holds a single part of a diffusers model, not a whole model",
    "encoder.down": "it is a VAE, not a whole model",
}


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A text encoder of a family: its folder in the diffusers layout, its place in an original checkpoint."""

    folder: str
    tokenizer: str
    origins: tuple[str, ...]
    """Prefixes in an original checkpoint, the usual one first."""
    open_clip: bool
    """An original checkpoint has it with OpenCLIP's names and joined projections, else with CLIP's."""
    projects: bool = False
    """Has a projection of its pooled output."""


_CLIP_L = TextEncoder(
    "text_encoder",
    "tokenizer",
    ("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."),
    open_clip=False,
)
_CLIP_H = TextEncoder(
    "text_encoder", "tokenizer", ("cond_stage_model.model.", "conditioner.embedders.0.model."), open_clip=True
)
_XL_L = TextEncoder(
    "text_encoder",
    "tokenizer",
    ("conditioner.embedders.0.transformer.text_model.", "conditioner.embedders.0.transformer."),
    open_clip=False,
)
_XL_G = TextEncoder(
    "text_encoder_2", "tokenizer_2", ("conditioner.embedders.1.model.",), open_clip=True, projects=True
)
_REFINER_G = TextEncoder(
    "text_encoder_2", "tokenizer_2", ("conditioner.embedders.0.model.",), open_clip=True, projects=True
)

TEXT_ENCODERS: dict[Family, tuple[TextEncoder, ...]] = {
    "sd1": (_CLIP_L,),
    "sd2": (_CLIP_H,),
    "sdxl": (_XL_L, _XL_G),
    "refiner": (_REFINER_G,),
}


@cache
def published(family: Family, prediction: Prediction, component: str) -> Config:
    """The configuration of a component of the published model. A shared object: copy before changing it."""
    folder = CONFIGS / _PUBLISHED[family, prediction]
    name = "scheduler_config.json" if component == "scheduler" else "config.json"
    config: Config = json.loads((folder / component / name).read_text())
    return config


def family_of_config(file: Path, unet: Mapping[str, Any], pooled: Callable[[], int]) -> Family:
    """The family of a diffusers folder, from its UNet's configuration and the width of the pooled text.

    SDXL conditions on sizes, SD 2 projects linearly, SD 1 by convolution.
    """
    kind = unet.get("_class_name", "UNet2DConditionModel")
    if kind != "UNet2DConditionModel":
        raise BrokenModel(file, f"it describes a {kind}, which this server does not run")
    if unet.get("addition_embed_type") == "text_time":
        sizes = unet["projection_class_embeddings_input_dim"] - pooled()
        return "refiner" if sizes == XL_SIZES["refiner"] * unet["addition_time_embed_dim"] else "sdxl"
    return "sd2" if unet.get("use_linear_projection") else "sd1"


def family_of_tensors(header: Header) -> Family:
    """The family of an original checkpoint, told by the same marks."""
    names = header.tensors
    if f"{UNET}input_blocks.0.0.weight" not in names:
        raise BrokenModel(header.path, _what_else(names))
    if f"{UNET}label_emb.0.0.weight" in names:
        both = any(name.startswith("conditioner.embedders.1.") for name in names)
        return "sdxl" if both else "refiner"
    projections = (name for name in names if name.startswith(UNET) and name.endswith(".proj_in.weight"))
    first = next(projections, None)
    if first is None:
        raise BrokenModel(header.path, "its UNet has no cross attention, so no text can guide it")
    return "sd2" if len(header.shape(first)) == 2 else "sd1"


def check_channels(path: Path, channels: int) -> int:
    """How many channels a UNet takes, if it is one that this server runs."""
    if channels not in (LATENT_CHANNELS, HOLE_CHANNELS):
        kind = _OTHER_CHANNELS.get(channels, "an unknown kind of model")
        raise BrokenModel(
            path, f"its UNet takes {channels} channels, as {kind} does, which this server does not run"
        )
    return channels


def zeroes_by_default(family: Family) -> bool:
    """Whether no prompt means zeros to the published models: SDXL was trained so, its refiner was not."""
    return family == "sdxl"


_OTHER_CHANNELS = {5: "a depth model", 7: "an upscaling model", 8: "an editing model (InstructPix2Pix)"}


def _what_else(names: Mapping[str, Any]) -> str:
    for prefix, sentence in _OTHER_KINDS.items():
        if any(name.startswith(prefix) for name in names):
            return sentence
    return "it holds no Stable Diffusion checkpoint"
