"""The tensors of a small network, brought to the device when it is first used: what the readers compute with.

The networks here are known by their files, whose names of tensors stand in the code as they are published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from diffusionapi.engine.hints.plain import pixels, resized
from diffusionapi.engine.models.weights import Weights

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from diffusionapi.engine.hints.plain import Pixels

_SHORT_SIDE = 512
"""Pixels at which the networks look at a picture, as ControlNet's own programs have it."""
_GRID = 64
"""Sides are multiples of it then."""


class Network:
    def __init__(self, path: Path, device: torch.device) -> None:
        self.device = device
        self._weights = Weights([path])
        self._here: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._here:
            self._here[name] = self._weights[name].to(self.device, torch.float32)
        return self._here[name]

    def __contains__(self, name: str) -> bool:
        return name in self._weights

    def convolved(self, name: str, x: Tensor, **options: Any) -> Tensor:
        """By the layer of this name, edges padded unless the options say how."""
        weight = self[f"{name}.weight"]
        bias = self[f"{name}.bias"] if f"{name}.bias" in self else None  # noqa: SIM401 - it is no dict
        return functional.conv2d(x, weight, bias, **{"padding": weight.shape[-1] // 2, **options})

    def sent(self, levels: Pixels) -> Tensor:
        """Levels as a batch of one: (1, channels, height, width), in 0..255."""
        return torch.from_numpy(levels.copy()).to(self.device, torch.float32).permute(2, 0, 1)[None]


def looked_at(picture: Image.Image) -> Pixels:
    """At the size that networks look at."""
    scale = _SHORT_SIDE / min(picture.size)
    width, height = (max(1, round(side * scale / _GRID)) * _GRID for side in picture.size)
    return resized(pixels(picture), (width, height))
