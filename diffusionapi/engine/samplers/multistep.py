"""LMS, PLMS, IPNDM and DEIS: one call a step, the slopes of several steps are combined (Adams-Bashforth)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from diffusionapi.engine.samplers.euler import towards
from diffusionapi.engine.samplers.sampler import Ask, Noise, Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from diffusionapi.engine.samplers.schedules import Plan

_ORDER = 4
_FARTHEST = 30
"""How many times its predecessor's length a step of LMS may have. A cubic carried on further than that is
rounding noise, magnified by the third power; it happens only on the way to 0 from hundreds of levels."""
_ADAMS_BASHFORTH = {
    1: (1.0,),
    2: (3 / 2, -1 / 2),
    3: (23 / 12, -16 / 12, 5 / 12),
    4: (55 / 24, -59 / 24, 37 / 24, -9 / 24),
}
"""Weights for slopes at equal distances, the newest first."""


def lms(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """The slope between the levels is the polynomial through the last four, integrated over the step."""
    slopes: list[Tensor] = []
    for i, (sigma, sigma_next) in enumerate(pairwise(plan.sigmas)):
        denoised = yield Ask(x, sigma)
        slopes = [(x - denoised) / sigma, *slopes][:_ORDER]
        known = plan.sigmas[max(i + 1 - _ORDER, 0) : i + 1][::-1]
        if i and sigma - sigma_next > _FARTHEST * (known[1] - sigma):
            known = known[:1]
        x = x + _combined(slopes, _integrals(known, sigma, sigma_next))
    return x


def plms(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """Liu et al. 2022 (arXiv:2202.09778), begun with one step along the mean of the slopes at its ends."""
    slopes: list[Tensor] = []
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        slopes = [(x - denoised) / sigma, *slopes][:_ORDER]
        if len(slopes) > 1:
            slope = _combined(slopes, _ADAMS_BASHFORTH[len(slopes)])
        else:
            ahead = x + slopes[0] * (sigma_next - sigma)
            denoised = yield Ask(ahead, sigma_next)
            slope = (slopes[0] + (ahead - denoised) / sigma_next) / 2
        x = x + slope * (sigma_next - sigma)
    return x * plan.end_scale


def ipndm(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """The formula of PLMS, begun with fewer slopes (Zhang & Chen 2022, arXiv:2204.13902).

    The weights are those for equal distances on any grid, and the last step is one like the others.
    """
    slopes: list[Tensor] = []
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        slopes = [(x - denoised) / sigma, *slopes][:_ORDER]
        x = x + _combined(slopes, _ADAMS_BASHFORTH[len(slopes)]) * (sigma_next - sigma)
    return x


def deis(x: Tensor, plan: Plan, noise: Noise) -> Steps:  # noqa: ARG001
    """Zhang & Chen 2022, order 2: the slope is the line, as log sigma goes, through the last two."""
    before: tuple[float, Tensor] | None = None
    for sigma, sigma_next in pairwise(plan.sigmas):
        denoised = yield Ask(x, sigma)
        slope = (x - denoised) / sigma
        if before is None or sigma_next == 0:
            x = towards(denoised, x, sigma, sigma_next)
        else:
            newest = _share_of_newest(before[0], sigma, sigma_next)
            x = x + _combined((slope, before[1]), (newest, sigma_next - sigma - newest))
        before = sigma, slope
    return x


def _share_of_newest(before: float, sigma: float, sigma_next: float) -> float:
    """The line, as the logarithm goes, that is 1 at `sigma` and 0 at `before`, integrated over the step."""
    end = sigma_next * (math.log(sigma_next / before) - 1)
    return (end - sigma * (math.log(sigma / before) - 1)) / math.log(sigma / before)


def _combined(slopes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = slopes[0] * weights[0]
    for slope, weight in zip(slopes[1:], weights[1:], strict=False):
        total = total + slope * weight
    return total


def _integrals(known: Sequence[float], start: float, end: float) -> list[float]:
    """Each Lagrange polynomial over `known`, integrated from start to end.

    Two Gauss points are exact up to degree 3, which is as high as four levels go.
    """
    middle, half = (start + end) / 2, (end - start) / 2
    points = (middle - half / 3**0.5, middle + half / 3**0.5)
    return [half * sum(_lagrange(known, j, point) for point in points) for j in range(len(known))]


def _lagrange(known: Sequence[float], j: int, at: float) -> float:
    product = 1.0
    for k, level in enumerate(known):
        if k != j:
            product *= (at - level) / (known[j] - level)
    return product
