"""How near the network comes to what the device can do: its arithmetic beside a large matrix product.

Only the UNet's arithmetic counts. It is counted on torch's device "meta", so it is the same whatever renders.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import Figure, single
from diffusionapi.engine import denoiser
from diffusionapi.engine.denoiser import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.scene import Scene

_SIDES = {"cuda": 8192, "cpu": 2048}
"""Of the matrices; large enough that more gains nothing."""
_REPEATS = {"cuda": 50, "cpu": 2}
_SIZES = {"sdxl": 6, "refiner": 5}
"""How many numbers on size and looks these families are told."""


@dataclass(frozen=True, slots=True)
class Roofline:
    device: torch.device
    dtype: torch.dtype
    peak: float
    """FLOP per second of the matrix product."""
    evaluation: int
    """FLOP of the UNet for one latent and one prompt."""

    @classmethod
    def measured(cls, model: LoadedModel, size: int) -> Roofline:
        peak = product(model.device, model.dtype)
        return cls(model.device, model.dtype, peak, evaluation(model, size))

    def share(self, evaluations: float, seconds: float) -> float:
        return evaluations * self.evaluation / seconds / self.peak

    def figures(self) -> list[Figure]:
        name = str(self.dtype).removeprefix("torch.")
        side = _of(_SIDES, self.device)
        return [
            single(f"a product of matrices of {side:,} x {side:,}, {name}", self.peak / 1e12, "TFLOP per s"),
            single("one evaluation of the UNet, counted", self.evaluation / 1e9, "GFLOP"),
        ]

    def calls(self, scenes: Sequence[Scene], rounds: int) -> list[Figure]:
        """One network call for all of these pictures; nothing if the device is too small for that."""
        questions = [_question(scene, self.device) for scene in scenes]
        rows = sum(len(one.words.positive) + one.guided for one in questions)
        try:
            with torch.inference_mode():
                seconds = median_of(self.device, lambda: denoiser.answer(questions), rounds)
        except torch.OutOfMemoryError:
            return []
        pictures = "1 picture" if len(scenes) == 1 else f"{len(scenes)} pictures"
        return [
            single(f"a network call for {pictures}", 1000 * seconds, "ms"),
            single("  its share of the product's speed", 100 * self.share(rows, seconds), "%"),
        ]


def product(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP per second of a large matrix product."""
    side, repeats = _of(_SIDES, device), _of(_REPEATS, device)
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    result = torch.empty_like(one)

    def many() -> None:
        for _ in range(repeats):
            torch.mm(one, other, out=result)

    return 2 * side**3 * repeats / median_of(device, many, 5)


def evaluation(model: LoadedModel, size: int) -> int:
    """FLOP of the UNet of one latent of a picture of size x size pixels with one prompt of 77 tokens."""
    config = model.unet.config
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(config)
        latents = torch.empty(1, model.unet_in_channels, size // 8, size // 8)
        context = torch.empty(1, 77, config.cross_attention_dim)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            unet(latents, torch.empty(1), context, added_cond_kwargs=_added(model))
    return int(counter.get_total_flops())


def _added(model: LoadedModel) -> dict[str, torch.Tensor] | None:
    numbers = _SIZES.get(model.family, 0)
    if not numbers:
        return None
    config = model.unet.config
    pooled = config.projection_class_embeddings_input_dim - numbers * config.addition_time_embed_dim
    return {"text_embeds": torch.empty(1, pooled), "time_ids": torch.empty(1, numbers)}


def _question(scene: Scene, device: torch.device) -> Call:
    """What a picture asks at its first step."""
    request = scene.request
    weights, words = scene.at(scene.table.sigma_max, 1, second=False)
    x = torch.randn(4, request.height // 8, request.width // 8).to(device)
    return Call(weights, x * scene.table.sigma_max, scene.table.sigma_max, words, request.guidance)


def median_of(device: torch.device, work: Callable[[], object], rounds: int) -> float:
    """Seconds of the median round, after one that does not count."""
    work()
    wait(device)
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        wait(device)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _of(table: dict[str, int], device: torch.device) -> int:
    return table.get(device.type, table["cpu"])
