"""Trains LoRAs on the finished model: a look that comes without a word. Saved as kohya or diffusers do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file

from training.picturebook.siblings import book
from training.picturebook.siblings.course import Course, learn, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from torch import Tensor

    from training.picturebook.world.plan import Plan

Format = Literal["kohya", "diffusers"]
RANK = 8
_ATTENTION = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"]
_LAYERS = [*_ATTENTION, "time_emb_proj"]
"""The last changes whole pictures at once, also at the levels that have no attention."""


def train(
    model: Path,
    out: Path,
    *,
    steps: int,
    seed: int,
    device: str,
    look: Callable[[Plan, int, int], Tensor],
    layout: Format,
) -> list[float]:
    of = book.Book(model, device)
    torch.manual_seed(seed)
    of.unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=_LAYERS))

    def loss(rng: Random) -> Tensor:
        shown = book.material(rng, look)
        lesson = of.lesson(shown.pictures)
        told = of.unet(lesson.noised, lesson.times, of.said(shown.texts)).sample
        return lesson.loss(told)

    losses = learn(out.stem, of.unet, loss, Course(steps, 3e-3, 3e-4, seed, decay=0), unfinished(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    weights = {key: one.half().cpu().contiguous() for key, one in get_peft_model_state_dict(of.unet).items()}
    (_save_kohya if layout == "kohya" else _save_diffusers)(out, weights)
    return losses


def _save_kohya(out: Path, weights: dict[str, Any]) -> None:
    tensors = {}
    for key, weight in weights.items():
        path, _, role = key.removesuffix(".weight").rpartition(".")
        name = f"lora_unet_{path.replace('.', '_')}"
        tensors[f"{name}.{'lora_down' if role == 'lora_A' else 'lora_up'}.weight"] = weight
        tensors[f"{name}.alpha"] = torch.tensor(float(RANK), dtype=torch.float16)
    metadata = {
        "ss_base_model_version": "sd_v1",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(RANK),
        "ss_network_alpha": str(RANK),
        "ss_output_name": out.stem,
    }
    save_file(tensors, out, metadata)


def _save_diffusers(out: Path, weights: dict[str, Any]) -> None:
    StableDiffusionPipeline.save_lora_weights(out.parent, unet_lora_layers=weights, weight_name=out.name)
