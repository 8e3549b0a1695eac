"""Heun, DPM2 and DPM2 a: the slope is looked up a second time further on, the last step is Euler's."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from diffusionapi.engine.samplers.euler import towards
from diffusionapi.engine.samplers.sampler import Ask, Noise, Steps, ancestral

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.engine.samplers.schedules import Plan


def heun(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """Karras et al. 2022, algorithm 1: the mean of the slopes at both ends of the step."""
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        ahead = towards(denoised, x, sigma, sigma_next)
        if sigma_next > 0:
            slope = (x - denoised) / sigma
            denoised = yield Ask(ahead, sigma_next)
            slope = (slope + (ahead - denoised) / sigma_next) / 2
            ahead = x + slope * (sigma_next - sigma)
        x = ahead
    return x


def dpm2(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """k-diffusion's sample_dpm_2: the slope in the middle of the step, as log sigma goes."""
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        if sigma_next > 0:
            middle = math.sqrt(sigma * sigma_next)
            halfway = towards(denoised, x, sigma, middle)
            denoised = yield Ask(halfway, middle)
            x = x + (halfway - denoised) * ((sigma_next - sigma) / middle)
        else:
            x = denoised
    return x


def dpm2_ancestral(x: Tensor, plan: Plan, noise: Noise) -> Steps:
    """k-diffusion's sample_dpm_2_ancestral: DPM2 to a lower level, and back up with fresh noise."""
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        down, up = ancestral(sigma, sigma_next)
        if sigma_next > 0:
            middle = math.sqrt(sigma * down)
            halfway = towards(denoised, x, sigma, middle)
            denoised = yield Ask(halfway, middle)
            x = x + (halfway - denoised) * ((down - sigma) / middle) + noise.next() * up
        else:
            x = denoised
    return x
