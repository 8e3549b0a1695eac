"""LCM, for models that were taught to see the whole way in a step: latent consistency (arXiv:2310.04378)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from diffusionapi.engine.samplers.sampler import Ask, Noise, Steps

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.engine.samplers.schedules import Plan

_DATA = 0.5
_SCALING = 10.0
"""As the networks were taught; by them the answer at timestep 0 is the question."""


def lcm(x: Tensor, plan: Plan, noise: Noise) -> Steps:
    """Each prediction is noised anew to the next level; the last one is the picture."""
    for sigma, sigma_next, t in zip(plan.sigmas[:-1], plan.sigmas[1:], plan.timesteps, strict=True):
        denoised = yield Ask(x, sigma)
        skip, out = _boundary(t)
        x = denoised * out + x * (skip / math.hypot(1, sigma))
        if sigma_next > 0:
            x = x + noise.next() * sigma_next
    return x


def _boundary(t: int) -> tuple[float, float]:
    """c_skip, of what was asked about with its variance preserved, and c_out, of the answer."""
    far = math.hypot(t * _SCALING, _DATA)
    return (_DATA / far) ** 2, t * _SCALING / far
