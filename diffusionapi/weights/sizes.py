"""The size of the pictures that a model was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.weights import folders
from diffusionapi.weights.families import published

if TYPE_CHECKING:
    from diffusionapi.weights.inspection import Found

_CELL = 8
"""Pixels a side of what one value of the latents stands for."""


def native_size(found: Found) -> int:
    """Pixels a side: as the model's configuration says or, where none does, as its family has it."""
    said = None
    if found.kind == "folder":
        said = folders.read_config(found.path / "unet" / "config.json").get("sample_size")
    if not isinstance(said, int):
        said = published(found.family, found.prediction, "unet")["sample_size"]
    return int(said) * _CELL
