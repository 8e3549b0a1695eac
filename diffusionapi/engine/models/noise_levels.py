"""The share of the picture's variance left after each training step, from a scheduler's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from diffusionapi.errors import Misconfigured

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.weights.families import Config

_LAST = 4.8973451890853435e-08
"""What A1111 leaves at the last step of a schedule that ends in pure noise: its sigma stays finite."""


def alphas_cumprod(scheduler: Config, *, zero_snr: bool) -> Tensor:
    """In float64: float32 moves the smallest sigma by 1e-5 of it, and Brownian noise depends on it."""
    left = torch.cumprod(1.0 - _betas(scheduler), 0)
    return _rescaled(left) if zero_snr else left


def _betas(scheduler: Config) -> Tensor:
    if scheduler.get("trained_betas"):
        return torch.tensor(scheduler["trained_betas"], dtype=torch.float64)
    first, last = scheduler.get("beta_start", 0.00085), scheduler.get("beta_end", 0.012)
    steps = scheduler.get("num_train_timesteps", 1000)
    match kind := scheduler.get("beta_schedule", "scaled_linear"):
        case "scaled_linear":
            return torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2
        case "linear":
            return torch.linspace(first, last, steps, dtype=torch.float64)
        case _:
            raise Misconfigured(f"A model's scheduler_config.json has an unknown beta_schedule {kind!r}")


def _rescaled(left: Tensor) -> Tensor:
    """Shifted and scaled so that nothing is left at the last step (arXiv:2305.08891, algorithm 1)."""
    root = left.sqrt()
    first, last = root[0].clone(), root[-1].clone()
    rescaled = ((root - last) * first / (first - last)) ** 2
    rescaled[-1] = _LAST
    return rescaled
