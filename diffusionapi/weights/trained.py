"""What the file of a LoRA that was trained here says of itself: kohya's metadata for others, and ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.weights.header import read_header

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.weights.families import Family, Prediction

_MODEL = "diffusionapi.model"
_PROMPT = "diffusionapi.instance_prompt"
_CREATED = "diffusionapi.created_at"

_BASES: dict[tuple[Family, Prediction], str] = {
    ("sd1", "epsilon"): "sd_v1",
    ("sd1", "v_prediction"): "sd_v1_v",
    ("sd2", "epsilon"): "sd_v2",
    ("sd2", "v_prediction"): "sd_v2_v",
    ("sdxl", "epsilon"): "sdxl_base_v1-0",
    ("sdxl", "v_prediction"): "sdxl_base_v1-0",
}
"""As kohya's scripts name what was learnt on."""


@dataclass(frozen=True, slots=True)
class TrainedLora:
    model: str
    """What it was learnt on, and is to be used with."""
    instance_prompt: str
    """What its pictures were said to show."""
    created_at: float
    """Epoch s."""


def metadata(
    *,
    name: str,
    model: str,
    family: Family,
    prediction: Prediction,
    instance_prompt: str,
    steps: int,
    rank: int,
    alpha: float,
    created_at: float,
) -> dict[str, str]:
    """For the header of a safetensors file, which holds strings only."""
    return {
        "ss_output_name": name,
        "ss_sd_model_name": model,
        "ss_base_model_version": _BASES[family, prediction],
        "ss_v2": str(family == "sd2"),
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(float(alpha)),
        "ss_steps": str(steps),
        _MODEL: model,
        _PROMPT: instance_prompt,
        _CREATED: repr(created_at),
    }


def read(path: Path) -> TrainedLora | None:
    """None for a LoRA that comes from elsewhere; BrokenModel for a damaged file."""
    said = read_header(path).metadata
    try:
        return TrainedLora(said[_MODEL], said[_PROMPT], float(said[_CREATED]))
    except (KeyError, ValueError):
        return None
