"""The DPM++ samplers: DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095), predicting x0."""

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


def dpmpp_2s(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """Singlestep, order 2, a call a level: each second step begins where the one before began.

    Its own answer then serves as that from the middle of both. The step to 0 goes straight to its prediction.
    """
    begun: tuple[float, Tensor, Tensor] | None = None
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        if begun is None or sigma_next == 0:
            begun = sigma, x, denoised
            x = towards(denoised, x, sigma, sigma_next)
        else:
            first, start, before = begun
            share = math.log(first / sigma) / math.log(first / sigma_next)
            x = towards(torch.lerp(before, denoised, 0.5 / share), start, first, sigma_next)
            begun = None
    return x


def dpmpp_2m(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """Multistep, order 2: the prediction is carried on from the one before; first and last step without."""
    before: tuple[float, Tensor] | None = None
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        x = towards(_carried_on(before, denoised, sigma, sigma_next), x, sigma, sigma_next)
        before = sigma, denoised
    return x


def dpmpp_2m_sde(x: Tensor, plan: Plan, noise: Noise) -> Steps:
    """DPM++ 2M that steps lower and comes back up with noise from a Brownian path (the midpoint form)."""
    before: tuple[float, Tensor] | None = None
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        down, up = ancestral(sigma, sigma_next)
        x = towards(_carried_on(before, denoised, sigma, sigma_next), x, sigma, down)
        if up:
            x = x + noise.brownian(sigma, sigma_next) * up
        before = sigma, denoised
    return x


def _carried_on(
    before: tuple[float, Tensor] | None, denoised: Tensor, sigma: float, sigma_next: float
) -> Tensor:
    """The prediction for the middle (of log sigma) of the step, on the line through the last two."""
    if before is None or sigma_next == 0:
        return denoised
    ratio = math.log(sigma / sigma_next) / math.log(before[0] / sigma)
    return torch.lerp(before[1], denoised, 1 + ratio / 2)


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
