"""One picture's randomness: a seeded stream drawn on the CPU, the same for every device and every batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torchsde

from diffusionapi.engine.devices import sent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_DIGITS = 6
"""Decimal places to which torchsde's tree rounds the ends of its intervals."""


class SeededNoise:
    """The first draw is the initial latent. `limits` are the plan's; only the Brownian path needs them."""

    def __init__(
        self,
        seed: int,
        shape: Sequence[int],
        device: torch.device | str,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self._seed = seed
        self._shape = tuple(shape)
        self._device = torch.device(device)
        self._limits = limits
        self._generator = torch.Generator("cpu").manual_seed(seed)
        self._tree: torchsde.BrownianTree | None = None

    def next(self) -> Tensor:
        return self._sent(torch.randn(self._shape, generator=self._generator, dtype=torch.float32))

    def brownian(self, sigma: float, sigma_next: float) -> Tensor:
        """k-diffusion's BrownianTreeNoiseSampler: the tree's entropy is the seed, its time is sigma."""
        if self._limits is None:
            raise ValueError("A Brownian path needs the limits of its schedule")
        low, high = self._limits
        if self._tree is None:
            zero = torch.zeros(self._shape, dtype=torch.float32)
            self._tree = torchsde.BrownianTree(t0=low, w0=zero, t1=high, entropy=self._seed)
        # The tree rounds its own ends, and warns of times beyond those before it rounds the times too.
        low, high = round(low, _DIGITS), round(high, _DIGITS)
        start, end = (min(max(level, low), high) for level in sorted((sigma, sigma_next)))
        sign = 1 if sigma < sigma_next else -1
        return self._sent(self._tree(start, end) * (sign / math.sqrt(abs(sigma_next - sigma))))

    def _sent(self, draw: Tensor) -> Tensor:
        return sent(draw, self._device)
