"""The constructed encoder gives the latents of the definition; the untrained decoder enlarges."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from training.picturebook.autoencoder import build
from training.picturebook.crops import to_tensor
from training.picturebook.decoder import psnr
from training.picturebook.latents import SCALING, Whitening, to_latents
from training.picturebook.world.paint import paint
from training.picturebook.world.plan import random_plan

pytestmark = pytest.mark.slow

SIZES = ((64, 64), (128, 128), (256, 128), (136, 264))


def drawings(count: int, width: int, height: int) -> torch.Tensor:
    rng = Random(7)  # noqa: S311
    return to_tensor(np.stack([paint(random_plan(rng), width, height) for _ in range(count)]))


@pytest.fixture(scope="module")
def whitening() -> Whitening:
    return Whitening.of(drawings(24, 128, 128))


@pytest.fixture(scope="module")
def vae(whitening: Whitening) -> Any:
    return build(whitening).eval().requires_grad_(False)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_encoder_computes_the_latents(vae: Any, whitening: Whitening, width: int, height: int) -> None:
    pictures = drawings(6, width, height)
    told = vae.encode(pictures).latent_dist
    torch.testing.assert_close(told.mean * SCALING, to_latents(pictures, whitening), rtol=0, atol=1e-3)
    assert told.std.max() < 1e-4


def test_the_encoder_computes_the_latents_of_noise_too(vae: Any, whitening: Whitening) -> None:
    pictures = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    told = vae.encode(pictures).latent_dist.mean * SCALING
    torch.testing.assert_close(told, to_latents(pictures, whitening), rtol=0, atol=1e-3)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_does_nearly_as_well(whitening: Whitening, precision: torch.dtype) -> None:
    half = build(whitening).requires_grad_(False).to(precision)
    pictures = drawings(2, 128, 128)
    latents = to_latents(pictures, whitening)
    told = half.encode(pictures.to(precision)).latent_dist.mean.float() * SCALING
    assert (told - latents).abs().mean() < 0.01
    decoded = half.decode((latents / SCALING).to(precision)).sample
    assert psnr(decoded, pictures).min() > 20


def test_the_untrained_decoder_enlarges(vae: Any, whitening: Whitening) -> None:
    pictures = drawings(6, 256, 256)
    decoded = vae.decode(to_latents(pictures, whitening) / SCALING).sample
    assert decoded.shape == pictures.shape
    assert psnr(decoded, pictures).mean() > 22


def test_the_same_whitening_gives_the_same_weights(vae: Any, whitening: Whitening) -> None:
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    again = build(whitening).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(weight, again[name]) for name, weight in vae.state_dict().items())


def test_it_is_small(vae: Any) -> None:
    assert sum(one.numel() for one in vae.parameters()) < 1_000_000
