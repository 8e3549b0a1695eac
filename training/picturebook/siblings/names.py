"""Everything that is trained beside the model, by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from training.picturebook.siblings import (
    controlnet,
    inpainting,
    inversion,
    looks,
    lora,
    upscaler,
    xl_base,
    xl_refiner,
)

if TYPE_CHECKING:
    from pathlib import Path


class Train(Protocol):
    def __call__(self, model: Path, out: Path, *, steps: int, seed: int, device: str) -> list[float]:
        """Trains on the exported model at `model`, writes `out`; the losses of the steps."""


@dataclass(frozen=True, slots=True)
class Sibling:
    train: Train
    steps: int
    place: str
    """Below the folder of models, LoRAs and upscalers."""


SIBLINGS = {
    "night": Sibling(
        partial(lora.train, look=looks.night, layout="kohya"), 150, "loras/picturebook-night.safetensors"
    ),
    "autumn": Sibling(
        partial(lora.train, look=looks.autumn, layout="diffusers"),
        200,
        "loras/picturebook-autumn.safetensors",
    ),
    "teal": Sibling(
        partial(inversion.train, tone=(24, 148, 152), near=("green", "blue")),
        200,
        "embeddings/picturebook-teal.safetensors",
    ),
    "edges": Sibling(controlnet.train, 3000, "controlnet/picturebook-edges"),
    "inpainting": Sibling(inpainting.train, 2500, "models/picturebook-inpainting"),
    "xl": Sibling(xl_base.train, 4000, "models/picturebook-xl"),
    "xl-refiner": Sibling(
        partial(xl_refiner.train, base="picturebook-xl"), 1500, "models/picturebook-xl-refiner"
    ),
    "upscaler-x2": Sibling(partial(upscaler.train, scale=2), 2500, "upscalers/picturebook-x2.safetensors"),
    "upscaler-x4": Sibling(partial(upscaler.train, scale=4), 2500, "upscalers/picturebook-x4.safetensors"),
}
