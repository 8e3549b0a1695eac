"""Euler, Euler a and DDIM: one call a step, straight towards the prediction."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from diffusionapi.engine.samplers.sampler import Ask, Noise, Steps, ancestral

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.engine.samplers.schedules import Plan


def towards(denoised: Tensor, x: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """Where x is at `sigma_next` if the prediction stays what it is.

    Written with slopes this is Euler's x + (x - denoised) / sigma * (sigma_next - sigma).
    """
    return torch.lerp(denoised, x, sigma_next / sigma)


def euler(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """Karras et al. 2022 (arXiv:2206.00364), algorithm 1 without its correction."""
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        x = towards(denoised, x, sigma, sigma_next)
    return x


def euler_ancestral(x: Tensor, plan: Plan, noise: Noise) -> Steps:
    """k-diffusion's sample_euler_ancestral: each step goes lower and comes back with fresh noise."""
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        down, up = ancestral(sigma, sigma_next)
        x = towards(denoised, x, sigma, down)
        if up:
            x = x + noise.next() * up
    return x


def ddim(x: Tensor, plan: Plan, noise: Noise) -> Steps:
    """Without fresh noise (eta 0) DDIM is Euler; it ends where it stands, variance preserved."""
    x = yield from euler(x, plan, noise)
    return x * plan.end_scale
