"""Between latents and pictures: decode at the end, encode for a second pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from diffusionapi.errors import Error

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.engine.models.loaded import LoadedModel

_TILED_FROM = 1536 * 1536
"""Pixels from which a picture goes through the VAE in tiles; its memory grows with the pixels."""


class BlackPicture(Error):
    code = "not_a_number"

    def __init__(self) -> None:
        super().__init__("The VAE answered with numbers that are none; use PRECISION=bf16 or fp32")


def decode(model: LoadedModel, latents: Tensor) -> Image.Image:
    """The picture of one latent (4, h, w)."""
    vae = model.vae
    _tile(vae, latents.shape[-2] * latents.shape[-1] * 64)
    weight = next(vae.parameters())
    pixels = (
        vae.decode((latents[None] / model.scaling_factor).to(weight.device, weight.dtype)).sample[0].float()
    )
    if not bool(torch.isfinite(pixels).all()):
        raise BlackPicture
    pixels = (pixels / 2 + 0.5).clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def encode(model: LoadedModel, picture: Image.Image) -> Tensor:
    """The latent of a picture, the mean of what the VAE gives, so that it needs no randomness."""
    vae = model.vae
    _tile(vae, picture.width * picture.height)
    weight = next(vae.parameters())
    pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 127.5 - 1)
    pixels = pixels.permute(2, 0, 1)[None].to(weight.device, weight.dtype)
    latents: Tensor = vae.encode(pixels).latent_dist.mode()[0].float()
    return latents * model.scaling_factor


def _tile(vae: torch.nn.Module, pixels: int) -> None:
    if pixels > _TILED_FROM:
        vae.enable_tiling()  # type: ignore[operator]
    else:
        vae.disable_tiling()  # type: ignore[operator]
