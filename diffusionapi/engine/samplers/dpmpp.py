"""DPM++ 2S a, DPM++ 2M and DPM++ SDE: DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095), predicting x0."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from diffusionapi.engine.samplers.euler import towards
from diffusionapi.engine.samplers.sampler import Ask, Noise, Steps, ancestral

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.engine.samplers.schedules import Plan


def dpmpp_2s_ancestral(x: Tensor, plan: Plan, noise: Noise) -> Steps:
    """Singlestep, order 2: the prediction in the middle (of log sigma) serves for the whole step."""
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        down, up = ancestral(sigma, sigma_next)
        if sigma_next > 0:
            middle = math.sqrt(sigma * down)
            denoised = yield Ask(towards(denoised, x, sigma, middle), middle)
        x = towards(denoised, x, sigma, down)
        if up:
            x = x + noise.next() * up
    return x


def dpmpp_2m(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """Multistep, order 2: the prediction is carried on from the one before; first and last step without."""
    before: tuple[float, Tensor] | None = None
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        if before is None or sigma_next == 0:
            target = denoised
        else:
            ratio = math.log(sigma / sigma_next) / math.log(before[0] / sigma)
            target = torch.lerp(before[1], denoised, 1 + ratio / 2)
        x = towards(target, x, sigma, sigma_next)
        before = sigma, denoised
    return x


def dpmpp_sde(x: Tensor, plan: Plan, noise: Noise) -> Steps:
    """The stochastic one: both stages split their step and take their noise from one Brownian path."""
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        if sigma_next > 0:
            middle = math.sqrt(sigma * sigma_next)
            down, up = ancestral(sigma, middle)
            halfway = towards(denoised, x, sigma, down) + noise.brownian(sigma, middle) * up
            denoised = yield Ask(halfway, middle)
            down, up = ancestral(sigma, sigma_next)
            x = towards(denoised, x, sigma, down) + noise.brownian(sigma, sigma_next) * up
        else:
            x = denoised
    return x
