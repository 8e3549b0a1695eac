"""The noise levels the picture book is trained on: Stable Diffusion's curve, run on until nothing is left."""

from __future__ import annotations

from dataclasses import dataclass

import torch

BETA_START, BETA_END = 0.00085, 0.02
"""The published 0.012 leaves a trace of the mean colour in the last level, and flat pictures are all mean."""
LEVELS = 1000
SELDOM = 0.1

SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler",
    "num_train_timesteps": LEVELS,
    "beta_start": BETA_START,
    "beta_end": BETA_END,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}


def alphas(halvings: int = 0) -> torch.Tensor:
    """The share of the picture in the variance of each level; of the pictures that become of the latents when
    2 x 2 of them are made one, `halvings` times, which takes noise away."""
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, LEVELS, dtype=torch.float64) ** 2
    alpha = (1 - betas).cumprod(0)
    return torch.as_tensor(alpha / (alpha + (1 - alpha) / 4**halvings)).float()


def draw(alphas: torch.Tensor, count: int) -> torch.Tensor:
    """Levels for `count` pictures, evenly spread. Those with hardly any noise come seldom: what they teach is
    seen last and least."""
    snr = alphas.double() / (1 - alphas.double())
    share = SELDOM + (5 / (snr + 1)).clamp(max=1)
    places = (torch.randperm(count) + torch.rand(count)).to(alphas.device) / count
    heights = share.cumsum(0)
    return torch.searchsorted(heights / heights[-1], places.double()).clamp(max=len(alphas) - 1)


@dataclass(frozen=True, slots=True)
class Lesson:
    """Latents with noise on them, the levels of it, and the velocity a network has to tell."""

    noised: torch.Tensor
    times: torch.Tensor
    velocity: torch.Tensor

    def loss(self, told: torch.Tensor) -> torch.Tensor:
        return (told.float() - self.velocity).square().mean()


def lesson(latents: torch.Tensor, alphas: torch.Tensor, levels: int = LEVELS) -> Lesson:
    """The pictures of a batch get levels of the lowest `levels`."""
    times = draw(alphas[:levels], len(latents))
    alpha = alphas[times][:, None, None, None]
    signal, rest = alpha.sqrt(), (1 - alpha).sqrt()
    noise = torch.randn_like(latents)
    return Lesson(signal * latents + rest * noise, times, signal * noise - rest * latents)
