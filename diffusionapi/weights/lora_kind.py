"""What a LoRA was made for: the families whose networks have the layers, and the widths, it speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from diffusionapi.errors import BadRequest
from diffusionapi.weights import lora_file
from diffusionapi.weights.families import LABELS, Family
from diffusionapi.weights.header import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from diffusionapi.weights.header import Stamp
    from diffusionapi.weights.lora_file import LoraFile

_TELLING = "attn2_to_k"
_WIDTHS: dict[int, Family] = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "refiner"}
"""How much a UNet is told of each token, and what that makes it."""

_MARKS: dict[re.Pattern[str], set[Family]] = {
    re.compile(r"te1\."): {"sd1", "sd2", "sdxl"},
    re.compile(r"te2\."): {"sdxl", "refiner"},
    re.compile(r"unet\..*_transformer_blocks_[1-9]"): {"sdxl", "refiner"},
    re.compile(r"unet\.(down_blocks_0_attentions|input_blocks_[12]_1)_"): {"sd1", "sd2"},
}
"""Layers that only these families have: the refiner lacks the first text encoder, SD 1 and 2 the second; only
the large ones put transformer blocks in a row, and only the small ones attend at full size."""

_OTHERS = {
    re.compile(r"unet\.(transformer_)?(double_blocks|single_blocks|single_transformer)_"): "Flux",
    re.compile(r"unet\.joint_blocks_"): "SD 3",
    re.compile(r"unet\.transformer_"): "a transformer, such as Flux or SD 3",
}
"""Layers of networks that this server does not run."""


@dataclass(frozen=True, slots=True)
class FoundLora:
    """`families` are those it may be for; all of them if its layers do not tell."""

    path: Path
    families: tuple[Family, ...]
    bytes: int
    text_width: int | None
    """How much the UNet that it is for is told of each token, if it changes how that listens."""

    @property
    def family(self) -> Family | None:
        """The one it is for, if that is certain."""
        return self.families[0] if len(self.families) == 1 else None


def inspect(path: Path) -> FoundLora:
    """BrokenModel for a damaged file, BadRequest for a kind of adapter or network that is not served."""
    return _inspect(path, stamp(path))


@lru_cache(maxsize=4096)  # a file has hundreds of layers, and is named again and again
def _inspect(path: Path, at: Stamp) -> FoundLora:
    file = lora_file.read(path)
    return FoundLora(path, families_of(file), at[0], _text_width(file))


def _text_width(file: LoraFile) -> int | None:
    for name, layer in file.layers.items():
        if name.startswith("unet.") and name.endswith(_TELLING):
            return file.header.shape(layer.down)[1]
    return None


def families_of(file: LoraFile) -> tuple[Family, ...]:
    """By how much the UNet is told of each token, if the file changes how it listens; else by other marks."""
    if (family := _WIDTHS.get(_text_width(file) or 0)) is not None:
        return (family,)
    for mark, network in _OTHERS.items():
        if any(mark.match(name) for name in file.layers):
            raise BadRequest("loras", f"{file.name!r} was made for {network}, which this server does not run")
    possible = set(LABELS)
    for mark, families in _MARKS.items():
        if any(mark.match(name) for name in file.layers):
            possible &= families
    return tuple(family for family in LABELS if family in possible)


def labels(families: Iterable[Family]) -> str:
    return " or ".join(LABELS[one] for one in families)
