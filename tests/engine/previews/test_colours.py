"""Colours of latents: the published ones for published VAEs, fitted ones for others."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from diffusionapi.engine.models.load import load
from diffusionapi.engine.previews import colours
from diffusionapi.weights.families import Family, published

if TYPE_CHECKING:
    from diffusionapi.engine.models.loaded import LoadedModel


def model_of(family: Family, **other: object) -> LoadedModel:
    config = {**published(family, "epsilon", "vae"), **other}
    vae = SimpleNamespace(config=config)
    return cast("LoadedModel", SimpleNamespace(family=family, prediction="epsilon", vae=vae))


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_vae_of_the_published_kind_has_the_published_colours(family: Family) -> None:
    found = colours.known(model_of(family))
    assert found is not None
    assert found.factors.shape == (4, 3)
    assert colours.known(model_of(family, block_out_channels=(128, 256, 512, 512))) is found


def test_the_published_colours_tell_light_from_dark_and_blue_from_red() -> None:
    """Of SD 1's latents the first two channels are light, and the last one takes blue away."""
    found = colours.known(model_of("sd1"))
    assert found is not None
    light, dark = (
        found.of(torch.tensor([one, one, 0, 0]).view(4, 1, 1)).float().mean() for one in (1.5, -1.5)
    )
    assert light > 200
    assert dark < 60
    red, _, blue = found.of(torch.tensor([0.0, 0, 0, -1]).view(4, 1, 1)).flatten().tolist()
    assert blue > red + 50


@pytest.mark.parametrize("other", [{"scaling_factor": 1.0}, {"block_out_channels": [32, 32, 32, 32]}])
def test_any_other_vae_has_not(other: dict[str, object]) -> None:
    assert colours.known(model_of("sd1", **other)) is None


class Linear:
    """A VAE whose latents are a mixture of the colours below each cell."""

    def __init__(self) -> None:
        dice = torch.Generator().manual_seed(3)
        self.mixture = torch.randn(4, 3, generator=dice)
        self.shift = torch.randn(4, generator=dice)

    def parameters(self) -> Any:
        return iter([self.mixture])

    def encode(self, pixels: Tensor) -> Any:
        cells = functional.avg_pool2d(pixels, 8)
        latents = torch.einsum("bchw,kc->bkhw", cells, self.mixture) + self.shift[:, None, None]
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))


def test_the_fit_finds_the_way_back_where_there_is_one() -> None:
    vae = Linear()
    model = SimpleNamespace(vae=vae, scaling_factor=0.3, device=torch.device("cpu"))
    found = colours.fitted(cast("LoadedModel", model))
    picture = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1
    wanted = functional.avg_pool2d(picture, 8)[0].permute(1, 2, 0).add(1).mul(127.5).round()
    latents = vae.encode(picture).latent_dist.mode()[0] * 0.3
    seen = found.of(latents)
    assert seen.dtype == torch.uint8
    assert (seen.float() - wanted).abs().max() <= 1


def test_a_real_vae_is_fitted_too(sd1_folder: Path) -> None:
    model = load(sd1_folder, torch.device("cpu"), torch.float32)
    assert colours.known(model) is None
    found = colours.fitted(model)
    assert torch.isfinite(found.factors).all()
    assert found.of(torch.zeros(4, 6, 9)).shape == (6, 9, 3)
