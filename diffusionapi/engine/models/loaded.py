"""A model in memory: its parts, what it predicts, its noise levels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from diffusionapi.weights.families import HOLE_CHANNELS

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from diffusionapi.engine.models.hashes import Hashes
    from diffusionapi.weights.families import Family, Prediction


class Resident(Protocol):
    """What takes a place in memory, and can be moved."""

    device: torch.device

    @property
    def bytes(self) -> int: ...

    @property
    def modules(self) -> list[nn.Module]: ...

    def to(self, device: torch.device) -> None: ...


@dataclass(eq=False, slots=True)
class LoadedModel:
    """The parts are plain diffusers and transformers modules in eval mode, without gradients."""

    name: str
    path: Path
    """The checkpoint file, or the folder of the components."""
    family: Family
    prediction: Prediction
    unet: Any
    vae: Any
    """In its own type: an SDXL VAE overflows in fp16 and is loaded in fp32 beside a UNet in fp16."""
    text_encoders: list[Any]
    tokenizers: list[Any]
    """In the order of text_encoders."""
    alphas_cumprod: Tensor
    """float64, on the CPU, one for each training step."""
    scaling_factor: float
    """What encoded pictures are multiplied with to become latents."""
    zeroes_empty_prompt: bool
    """Whether no prompt means zeros to it, and not what its encoders make of an empty one."""
    unet_in_channels: int
    dtype: torch.dtype
    device: torch.device
    bytes: int
    """Of all parameters."""
    hashes: Hashes = field(repr=False)
    adapters: Any = field(default=None, repr=False)
    """Whoever puts adapters onto it keeps them here, so that they go when the model goes."""
    colours: Any = field(default=None, repr=False)
    """What its latents look like (previews/colours.py), once somebody wanted to know."""

    @property
    def paints_holes(self) -> bool:
        """Its UNet was made for inpainting, and takes a mask and a masked picture beside the latents."""
        return self.unet_in_channels == HOLE_CHANNELS

    @property
    def hash(self) -> str:
        """First 10 hex digits of the sha256 of the checkpoint, or of a folder's UNet. Slow the first time."""
        return self.hashes.of(self.path)

    @property
    def modules(self) -> list[nn.Module]:
        return [self.unet, self.vae, *self.text_encoders]

    def to(self, device: torch.device) -> None:
        for module in self.modules:
            module.to(device)
        self.device = device
