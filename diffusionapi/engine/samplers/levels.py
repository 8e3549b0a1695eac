"""The noise levels a model was trained on, and the four grids of levels that schedules take from them.

A noise level is sigma = sqrt((1 - a) / a), where a is `alphas_cumprod` at a timestep of 0..999.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

_SMALLEST_ALPHA = 4.9e-8
"""Stands in for the 0 at the end of a zero-terminal-SNR schedule, whose noise level would be infinite."""
_RHO = 7.0
"""Karras et al. 2022 (arXiv:2206.00364), equation 5."""


class NoiseTable:
    def __init__(self, alphas_cumprod: Tensor) -> None:
        alphas = alphas_cumprod.double().clamp(min=_SMALLEST_ALPHA)
        self._log_sigmas: list[float] = (((1 - alphas) / alphas).log() / 2).tolist()
        self._log_alphas: list[float] = (alphas.log() / 2).tolist()

    def __len__(self) -> int:
        return len(self._log_sigmas)

    @property
    def sigma_min(self) -> float:
        return math.exp(self._log_sigmas[0])

    @property
    def sigma_max(self) -> float:
        return math.exp(self._log_sigmas[-1])

    def sigma(self, t: float) -> float:
        """The noise level at a timestep; between whole ones, linear in log sigma."""
        return math.exp(_interpolate(self._log_sigmas, t))

    def sigma_between_alphas(self, t: float) -> float:
        """The same, but between whole timesteps linear in log alpha, as UniPC has it."""
        return math.sqrt(math.expm1(-2 * _interpolate(self._log_alphas, t)))

    def t_of(self, sigma: float) -> float:
        """The timestep of a noise level, with its fraction; levels outside of the table get its ends."""
        wanted, known = math.log(sigma), self._log_sigmas
        low = min(max(bisect_right(known, wanted) - 1, 0), len(known) - 2)
        share = (wanted - known[low]) / (known[low + 1] - known[low])
        return low + min(max(share, 0.0), 1.0)


def _interpolate(values: Sequence[float], t: float) -> float:
    low = min(max(int(t), 0), len(values) - 2)
    return values[low] + (t - low) * (values[low + 1] - values[low])


def spread(first: float, last: float, count: int) -> list[float]:
    """`count` evenly spaced numbers with both ends; a single one is the first."""
    if count == 1:
        return [first]
    return [*(first + (last - first) * i / (count - 1) for i in range(count - 1)), last]


def uniform(table: NoiseTable, steps: int) -> list[float]:
    return [table.sigma(t) for t in spread(len(table) - 1, 0, steps)]


def karras(table: NoiseTable, steps: int) -> list[float]:
    ramp = spread(table.sigma_max ** (1 / _RHO), table.sigma_min ** (1 / _RHO), steps)
    return [root**_RHO for root in ramp]


def exponential(table: NoiseTable, steps: int) -> list[float]:
    return log_spaced(table.sigma_max, table.sigma_min, steps)


def leading(table: NoiseTable, steps: int) -> list[float]:
    """t = 1, 1 + k, 1 + 2k, … below 1000, so more levels than `steps` when these do not divide 1000.

    A single step would be t = 1, where there is no picture to find; it starts at the top as elsewhere.
    """
    if steps == 1:
        return [table.sigma_max]
    stride = max(len(table) // steps, 1)
    return [table.sigma(t) for t in reversed(range(1, len(table), stride))]


def log_spaced(high: float, low: float, count: int) -> list[float]:
    if count == 1:
        return [high]
    between = spread(math.log(high), math.log(low), count)[1:-1]
    return [high, *map(math.exp, between), low]


GRIDS: dict[str, Callable[[NoiseTable, int], list[float]]] = {
    "default": uniform,
    "karras": karras,
    "exponential": exponential,
    "ddim": leading,
}
"""Schedule type -> the levels of so many steps, descending, without the 0 at the end."""
