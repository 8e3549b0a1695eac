"""The inner levels learn alone first, at noise that means the same inside the whole."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from training.picturebook import noise
from training.picturebook.inner import Inner
from training.picturebook.networks import WIDTH, unet


def test_the_mean_of_noised_latents_is_at_the_level_the_inner_levels_are_told() -> None:
    torch.manual_seed(1)
    latents = functional.interpolate(torch.randn(64, 4, 8, 8), scale_factor=4, mode="nearest")
    alpha = noise.alphas()[600]
    noised = alpha.sqrt() * latents + (1 - alpha).sqrt() * torch.randn_like(latents)
    small, clean = functional.avg_pool2d(noised, 4), functional.avg_pool2d(latents, 4)
    inner = noise.alphas(2)[600]
    scale = (inner / alpha).sqrt()
    rest = small * scale - inner.sqrt() * clean
    assert rest.std().item() == pytest.approx((1 - inner).sqrt().item(), rel=0.03)


def test_levels_with_hardly_any_noise_come_seldom() -> None:
    torch.manual_seed(1)
    alphas = noise.alphas(2)
    drawn = noise.draw(alphas, 4000)
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < noise.LEVELS
    assert (drawn < 100).sum() < 0.3 * (drawn > 900).sum()


@pytest.mark.parametrize("skipped", [1, 2])
def test_only_the_inner_levels_learn_and_the_whole_stays_whole(skipped: int) -> None:
    whole = unet()
    inner = Inner(whole, skipped)
    told = inner(torch.randn(2, 4, 16, 16), torch.tensor([10, 900]), torch.randn(2, 7, WIDTH))
    assert told.shape == (2, 4, 16, 16)
    torch.autograd.backward(told.square().mean())
    learning = {
        name.split(".")[1] for name, one in whole.down_blocks.named_parameters("d") if one.grad is not None
    }
    assert learning == {str(level) for level in range(skipped, 4)}
    assert all(one.grad is None for one in (*whole.conv_in.parameters(), *whole.conv_out.parameters()))
    assert all(block.upsamplers for block in whole.up_blocks[:-1])
    assert not any(name.startswith("_whole") for name, _ in inner.named_parameters())
