"""Tiny decoders (TAESD): whole pictures for a fraction of what the VAE needs, where they are installed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderTiny
from torch.nn import functional

from diffusionapi.engine.models import building
from diffusionapi.engine.models.weights import Weights, fitted, placed
from diffusionapi.errors import Error
from diffusionapi.weights import folders

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.weights.families import Family

log = logging.getLogger(__name__)

_SHRINK = 2
"""Latents are halved first: a decoder at full size does a tenth of the arithmetic of a step of SD 1.5."""
_MOST = 64
"""Cells a side that are decoded, of pictures of whatever size."""


class TinyDecoders:
    """Those under one folder: in folders of the diffusers layout, those for SDXL with `xl` in their names."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        self._folder = folder
        self._device = device
        self._dtype = dtype
        self._loaded: dict[bool, Any] = {}

    def of(self, family: Family) -> Any | None:
        """The decoder for a family, None if there is none that can be used. Looks and loads once."""
        xl = family in ("sdxl", "refiner")
        if xl not in self._loaded:
            self._loaded[xl] = None
            try:
                if place := self._find(xl=xl):
                    self._loaded[xl] = _load(place, self._device, self._dtype)
            except Error as error:
                log.warning("no previews by a tiny decoder: %s", error.sentence)
        return self._loaded[xl]

    def _find(self, *, xl: bool) -> Path | None:
        for config in sorted(self._folder.glob("**/config.json")):
            named = "xl" in str(config.parent.relative_to(self._folder)).lower()
            if named is xl and folders.read_config(config).get("_class_name") == "AutoencoderTiny":
                return config.parent
        return None


def decoded(decoder: Any, latents: Tensor) -> Tensor:
    """Bytes (height, width, 3), fewer than the picture has."""
    dtype = next(decoder.parameters()).dtype
    height, width = latents.shape[-2:]
    shrink = max(_SHRINK, -(-max(height, width) // _MOST))
    size = max(height // shrink, 1), max(width // shrink, 1)
    small = functional.interpolate(latents[None].float(), size=size, mode="area")
    levels: Tensor = decoder.decode(small.to(dtype)).sample[0].float()
    return levels.add(1).mul(127.5).round().clamp(0, 255).byte().permute(1, 2, 0)


def _load(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    with building.empty():
        network = AutoencoderTiny.from_config(folders.read_config(folder / "config.json"))
    network.encoder = None
    files = folders.weight_files(folder, half=dtype != torch.float32)
    weights = Weights(files)
    state = {
        name: fitted(weights[name], empty.shape, files[0], name)
        for name, empty in network.state_dict().items()
    }
    network.load_state_dict(placed(state, device, dtype), assign=True)
    return network.to(device).eval().requires_grad_(False)
