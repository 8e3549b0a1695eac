"""What a sampler is: a generator that asks for the network's opinion and is sent the x0 it predicts.

All of them work on latents x0 + sigma * noise (variance exploding), whatever the network wants to see.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from diffusionapi.engine.samplers.schedules import Plan


@dataclass(frozen=True, slots=True)
class Ask:
    """Wanted: the prediction of x0 from `x`, whose noise level is `sigma`."""

    x: Tensor
    sigma: float
    settled: float | None = None
    """The level that is certainly reached, where what is asked about may be taken back."""

    @property
    def level(self) -> float:
        """The level to report as reached."""
        return self.sigma if self.settled is None else self.settled


class Noise(Protocol):
    """One picture's own randomness."""

    def next(self) -> Tensor:
        """The next draw of its seeded stream."""

    def brownian(self, sigma: float, sigma_next: float) -> Tensor:
        """The increment of its Brownian path between two levels, scaled to unit variance."""


Steps = Generator[Ask, Tensor, Tensor]
Sampler = Callable[[Tensor, Plan, Noise], Steps]
"""Takes the first latents, returns the last ones as the VAE expects them."""


def ancestral(sigma: float, sigma_next: float) -> tuple[float, float]:
    """The level to go down to, and how much fresh noise then leads back up to `sigma_next`."""
    down = sigma_next**2 / sigma
    return down, math.sqrt(max(sigma_next**2 - down**2, 0.0))
