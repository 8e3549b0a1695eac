"""UniPC of order 3 (Zhao et al. 2023, arXiv:2302.04867), predicting x0, with B(h) = h.

The network's answer at the end of a step corrects that step, and is the newest one the next starts from.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from diffusionapi.engine.samplers.euler import towards
from diffusionapi.engine.samplers.sampler import Ask, Noise, Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from diffusionapi.engine.samplers.schedules import Plan

_ORDER = 3


def unipc(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """The order grows while little is known and falls towards the end; the last step is not corrected."""
    last = len(plan.sigmas) - 1
    known: list[tuple[float, Tensor]] = []
    for i, (sigma, sigma_next) in enumerate(pairwise(plan.sigmas)):
        if not known:
            known = [(sigma, (yield from _denoised(x, sigma, plan.told[0])))]
        newest, h = known[0][1], math.log(sigma / sigma_next)
        order = min(i + 1, last - i, _ORDER)
        ratios = [math.log(sigma / level) / h for level, _ in known[1:order]]
        bends = [(one - newest) / ratio for ratio, (_, one) in zip(ratios, known[1:order], strict=True)]
        straight = towards(newest, x, sigma, sigma_next)
        x = _bent(straight, bends, ratios, h)
        if i + 1 < last:
            denoised = yield from _denoised(x, sigma_next, plan.told[i + 1])
            x = _bent(straight, [*bends, denoised - newest], [*ratios, 1.0], h)
            known = [(sigma_next, denoised), *known][:_ORDER]
    return x * plan.end_scale


def _denoised(x: Tensor, sigma: float, told: float) -> Steps:
    """The prediction for `sigma` from a network that is told another level, by the noise that it predicts."""
    seen = x * (math.hypot(1, told) / math.hypot(1, sigma))
    denoised = yield Ask(seen, told)
    return x - (seen - denoised) * (sigma / told)


def _bent(straight: Tensor, bends: Sequence[Tensor], ratios: Sequence[float], h: float) -> Tensor:
    """UniP, which predicts; UniC, which corrects, has the answer at the end (ratio 1) among the bends."""
    for bend, weight in zip(bends, _weights(ratios, h), strict=True):
        straight = straight + bend * (h * weight)
    return straight


def _weights(ratios: Sequence[float], h: float) -> list[float]:
    """What makes the step exact to the order; a single weight is set to 1/2 as in the authors' code."""
    if len(ratios) < 2:
        return [0.5] * len(ratios)
    moments, phi = [], math.expm1(-h) / -h - 1
    for k in range(1, len(ratios) + 1):
        moments.append(phi * math.factorial(k) / -h)
        phi = phi / -h - 1 / math.factorial(k + 1)
    powers = torch.tensor(ratios, dtype=torch.float64) ** torch.arange(len(ratios))[:, None]
    weights: list[float] = torch.linalg.solve(powers, torch.tensor(moments, dtype=torch.float64)).tolist()
    return weights
