"""The noise levels the picture book is trained on: Stable Diffusion's curve, run on until nothing is left."""

from __future__ import annotations

from dataclasses import dataclass

import torch

BETA_START, BETA_END = 0.00085, 0.02
"""The published 0.012 leaves a trace of the mean colour in the last level, and flat pictures are all mean."""
LEVELS = 1000

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


def alphas() -> torch.Tensor:
    """The share of the picture in the variance of each level."""
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, LEVELS, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(0).float()


def noised(
    latents: torch.Tensor, noise: torch.Tensor, alpha: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The latents at a level, and the velocity a network has to tell there."""
    signal, rest = alpha.sqrt()[:, None, None, None], (1 - alpha).sqrt()[:, None, None, None]
    return signal * latents + rest * noise, signal * noise - rest * latents


def weight(alpha: torch.Tensor) -> torch.Tensor:
    """Levels with hardly any noise count less: what they teach is seen last and least."""
    snr = alpha / (1 - alpha)
    return (5 / (snr + 1)).clamp(max=1)


@dataclass(frozen=True, slots=True)
class Lesson:
    """Latents with noise on them, the levels of it, and the velocity a network has to tell."""

    noised: torch.Tensor
    times: torch.Tensor
    velocity: torch.Tensor
    weight: torch.Tensor

    def losses(self, told: torch.Tensor) -> torch.Tensor:
        """Of each picture, before the levels' weights."""
        return (told.float() - self.velocity).square().mean((1, 2, 3))


def lesson(latents: torch.Tensor, alphas: torch.Tensor, levels: int = LEVELS) -> Lesson:
    """The pictures of a batch get levels evenly spread over the lowest `levels`."""
    count = len(latents)
    times = ((torch.arange(count) + torch.rand(count)) / count * levels).long().to(latents.device)
    alpha = alphas[times]
    steps = noised(latents, torch.randn_like(latents), alpha)
    return Lesson(steps[0], times, steps[1], weight(alpha))
