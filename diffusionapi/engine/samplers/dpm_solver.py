"""DPM fast and DPM adaptive: DPM-Solver (Lu et al. 2022, arXiv:2206.00927), orders 1 to 3, with fresh noise.

The solver integrates the predicted noise over lambda = -ln sigma; h is a step's length there.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from diffusionapi.engine.samplers.sampler import Ask, Noise, Steps, ancestral

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.engine.samplers.schedules import Plan

_FIRST_STEP = 0.05
_ABSOLUTE, _RELATIVE = 0.0078, 0.05
"""Tolerated error of a value of the latents; k-diffusion's defaults, as those around it."""
_ORDER = 1.5
"""How the error is taken to grow with the length of a step; the fresh noise makes it less than 3."""
_ENOUGH = 0.81
"""A step is accepted if the next one may be this much of its length."""
_CLOSE = 1e-5
_ATTEMPTS, _UNJUDGED = 100, 20
"""Of at most 100 attempts, 3 calls each, the last 20 share the way that is left and are accepted as they are,
so that the sampler ends with a picture whatever the network answers."""


def dpm_fast(x: Tensor, plan: Plan, noise: Noise) -> Steps:
    """Steps of equal length and order 3, at the end lower orders that make the number of calls come out."""
    for order, (sigma, sigma_next) in zip(_orders(plan), pairwise(plan.sigmas), strict=True):
        down, up = _split(sigma, sigma_next, plan.sigmas[-1])
        eps = yield from _predicted_noise(x, sigma, sigma)
        if order == 1:
            x = x - eps * (sigma - down)
        elif order == 2:
            eps_half = yield from _noise_on_the_way(x, eps, sigma, down, 1 / 2)
            x = x - eps_half * (sigma - down)
        else:
            eps_third = yield from _noise_on_the_way(x, eps, sigma, down, 1 / 3)
            x = yield from _third_order(x, eps, eps_third, sigma, down)
        if up:
            x = x + noise.next() * up
    return x


def dpm_adaptive(x: Tensor, plan: Plan, noise: Noise) -> Steps:
    """Solutions of order 2 and 3 are compared: what they differ by judges the step and sizes the next one."""
    sigma, last = plan.sigmas[0], plan.sigmas[-1]
    h, before, attempts_left = _FIRST_STEP, x, _ATTEMPTS
    while (way := math.log(sigma / last)) > _CLOSE:
        unjudged = attempts_left <= _UNJUDGED
        h = min(max(h, way / attempts_left) if unjudged else h, way)
        sigma_next = last if h == way else sigma * math.exp(-h)
        down, up = _split(sigma, sigma_next, last)
        eps = yield from _predicted_noise(x, sigma, sigma)
        eps_third = yield from _noise_on_the_way(x, eps, sigma, down, 1 / 3)
        low = x - (eps + (eps_third - eps) * 1.5) * (sigma - down)
        high = yield from _third_order(x, eps, eps_third, sigma, down)
        error = _error(low, high, before)
        if math.isnan(error):
            return high  # nothing can be judged any more, and whoever sees these latents will know
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / _ORDER) - 1)
        if unjudged or factor >= _ENOUGH:
            x = high + noise.next() * up if up else high
            sigma, before = sigma_next, low
        h, attempts_left = h * factor, attempts_left - 1
    return x


def _orders(plan: Plan) -> list[int]:
    """DPM-Solver-fast: as many steps of order 3 as fit into the calls, then what is left of those."""
    if not plan.calls:
        return []
    threes, rest = divmod(plan.calls, 3)
    return [3] * threes + [rest] if rest else [3] * (threes - 1) + [2, 1]


def _split(sigma: float, sigma_next: float, last: float) -> tuple[float, float]:
    """As `ancestral`, but never below the level where the sampler stops."""
    down = max(ancestral(sigma, sigma_next)[0], last)
    return down, math.sqrt(max(sigma_next**2 - down**2, 0.0))


def _predicted_noise(x: Tensor, sigma: float, settled: float) -> Steps:
    denoised = yield Ask(x, sigma, settled)
    return (x - denoised) / sigma


def _noise_on_the_way(x: Tensor, eps: Tensor, sigma: float, to: float, share: float) -> Steps:
    """The noise predicted after a step of order 1 over that share of the way."""
    level = sigma * (to / sigma) ** share
    return (yield from _predicted_noise(x - eps * (sigma - level), level, sigma))


def _third_order(x: Tensor, eps: Tensor, eps_third: Tensor, sigma: float, to: float) -> Steps:
    """DPM-Solver-3 with r1 = 1/3 and r2 = 2/3; sigma - to stands for sigma_to * (e^h - 1)."""
    h = math.log(sigma / to)
    level = sigma * math.exp(-2 / 3 * h)
    curve = (sigma - level) / (2 / 3 * h) - level
    ahead = x - eps * (sigma - level) - (eps_third - eps) * (2 * curve)
    eps_two_thirds = yield from _predicted_noise(ahead, level, sigma)
    curve = (sigma - to) / h - to
    return x - eps * (sigma - to) - (eps_two_thirds - eps) * (3 / 2 * curve)


def _error(low: Tensor, high: Tensor, before: Tensor) -> float:
    """Root of the mean squared difference, in units of what is tolerated; waits for the device."""
    tolerated = (torch.maximum(low.abs(), before.abs()) * _RELATIVE).clamp(min=_ABSOLUTE)
    return float(((low - high) / tolerated).square().mean().sqrt())
