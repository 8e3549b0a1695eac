"""What a model's UNet predicts, noise or velocity, and whether its last step is pure noise.

A diffusers folder says so in scheduler_config.json. An original checkpoint says so, the surest first:

1. a .yaml of the same name beside it (`parameterization: "v"`), as A1111 and the SD 2 releases have it;
2. its metadata: `modelspec.prediction_type`, or the training settings of kohya's scripts;
3. empty marker tensors `v_pred` and `ztsnr` (SDXL finetunes);
4. SD 2 only: no name and no shape tells 2.x-base (noise) from 2.x at 768 pixels (velocity). What does is the
   spread of one bias in the last attention block, which velocity training drives above 0.09, a criterion of
   ComfyUI's. It holds for the published models and what descends from them; a sidecar .yaml overrules it.

Anything else predicts noise.
"""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING, Any

from diffusionapi.errors import BrokenModel
from diffusionapi.weights.families import UNET, Family, Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from diffusionapi.weights.header import Header

_SD2_BIAS = f"{UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"
_SD2_SPREAD = 0.09
_YAML = re.compile(r"^\s*parameterization:\s*['\"]?(\w+)", re.MULTILINE)
_EDM = "it was trained with EDM noise levels, which this server does not run"
_SPELLINGS: dict[str, Prediction] = {
    "epsilon": "epsilon",
    "eps": "epsilon",
    "v": "v_prediction",
    "v_prediction": "v_prediction",
    "v-prediction": "v_prediction",
}


def of_scheduler(file: Path, scheduler: Mapping[str, Any]) -> Prediction:
    """What scheduler_config.json says; published ones without the field predict noise."""
    if str(scheduler.get("_class_name", "")).startswith("EDM"):
        raise BrokenModel(file, _EDM)
    said = scheduler.get("prediction_type", "epsilon")
    if said not in ("epsilon", "v_prediction"):
        raise BrokenModel(file, f"its prediction type {said!r} is not one this server runs")
    return _SPELLINGS[said]


def of_checkpoint(header: Header, family: Family) -> Prediction:
    """What an original checkpoint says, by the rules above."""
    if "edm_mean" in header.tensors or "edm_vpred.sigma_max" in header.tensors:
        raise BrokenModel(header.path, _EDM)
    said = _of_sidecar(header.path) or _metadata(header.metadata)
    if said is not None:
        return said
    if "v_pred" in header.tensors or (family == "sd2" and _spreads(header)):
        return "v_prediction"
    return "epsilon"


def zero_snr(header: Header) -> bool:
    """Whether the schedule of an original checkpoint ends in pure noise (arXiv:2305.08891)."""
    return "ztsnr" in header.tensors


def sidecar(path: Path) -> Path:
    return path.with_suffix(".yaml")


def _of_sidecar(path: Path) -> Prediction | None:
    try:
        text = sidecar(path).read_text(errors="replace")
    except OSError:
        return None
    # A training configuration that does not name it trains on noise.
    found = _YAML.search(text)
    return _SPELLINGS.get(found[1]) if found else None


def _metadata(metadata: Mapping[str, str]) -> Prediction | None:
    if said := metadata.get("modelspec.prediction_type"):
        return _SPELLINGS.get(said.lower())
    if metadata.get("ss_v_parameterization") == "True":
        return "v_prediction"
    return None


def _spreads(header: Header) -> bool:
    values = header.floats(_SD2_BIAS) if _SD2_BIAS in header.tensors else None
    return values is not None and statistics.pstdev(values) > _SD2_SPREAD
