"""From latents to colours by one small matrix: a cell of a latent has much of the colour that is seen there.

For the published VAEs the matrix is known (ComfyUI's latent_formats.py); for any other it is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from diffusionapi.weights.families import published

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.weights.families import Family

_CELL = 8
"""Pixels a side that a cell of a latent stands for."""
_PICTURES, _PATCHES, _PATCH = 4, 4, 4
"""What is encoded for a fit: pictures, patches a side of each, cells a side of a patch."""
_KIND = ("latent_channels", "block_out_channels", "scaling_factor")
"""What tells a VAE of a published kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Colours:
    """Red, green and blue in -1..1 from four channels, and what is added to them."""

    factors: Tensor
    """(4, 3)"""
    bias: Tensor
    """(3,)"""

    def of(self, latents: Tensor) -> Tensor:
        """Bytes (h, w, 3), where the latents are."""
        factors, bias = self.factors.to(latents.device), self.bias.to(latents.device)
        levels = torch.einsum("chw,cr->hwr", latents.float(), factors) + bias
        return levels.add_(1).mul_(127.5).round_().clamp_(0, 255).byte()


_SD = Colours(
    torch.tensor(
        [
            [0.3512, 0.2297, 0.3227],
            [0.3250, 0.4974, 0.2350],
            [-0.2829, 0.1762, 0.2721],
            [-0.2120, -0.2616, -0.7177],
        ]
    ),
    torch.zeros(3),
)
_XL = Colours(
    torch.tensor(
        [
            [0.3651, 0.4232, 0.4341],
            [-0.2533, -0.0042, 0.1068],
            [0.1076, 0.1111, -0.0362],
            [-0.3165, -0.2492, -0.2188],
        ]
    ),
    torch.tensor([0.1084, -0.0175, -0.0011]),
)
_PUBLISHED: dict[Family, Colours] = {"sd1": _SD, "sd2": _SD, "sdxl": _XL, "refiner": _XL}


def known(model: LoadedModel) -> Colours | None:
    """The published colours, if the model's VAE is of the kind they were made for."""
    config: Any = model.vae.config
    usual = published(model.family, model.prediction, "vae")
    same = all(_plain(config.get(name)) == _plain(usual.get(name, config.get(name))) for name in _KIND)
    return _PUBLISHED[model.family] if same else None


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


@torch.inference_mode()
def fitted(model: LoadedModel) -> Colours:
    """Least squares over what the VAE makes of pictures of coloured patches."""
    vae, dice = model.vae, torch.Generator().manual_seed(0)
    patches = torch.rand(_PICTURES, 3, _PATCHES, _PATCHES, generator=dice) * 2 - 1
    cells = functional.interpolate(patches, scale_factor=_PATCH)
    pixels = functional.interpolate(cells, scale_factor=_CELL)
    dtype = next(vae.parameters()).dtype
    latents = vae.encode(pixels.to(model.device, dtype)).latent_dist.mode() * model.scaling_factor
    known = latents.double().cpu().permute(0, 2, 3, 1).flatten(end_dim=2)
    wanted = cells.double().permute(0, 2, 3, 1).flatten(end_dim=2)
    found = torch.linalg.lstsq(
        torch.cat([known, torch.ones_like(known[:, :1])], dim=1), wanted
    ).solution.float()
    return Colours(found[:-1].clone(), found[-1].clone())
