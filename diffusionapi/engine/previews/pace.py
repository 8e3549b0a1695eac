"""How often a generation is previewed: once a step at most, and as often as eyes and the device can bear."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

INTERVAL = 0.1
"""Seconds between two previews of one generation, at least."""


@dataclass(slots=True)
class Pace:
    now: Callable[[], float] = time.monotonic
    _next: float = field(default=0.0, init=False)
    _step: Hashable = field(default=None, init=False)

    def due(self, step: Hashable, *, interval: float = INTERVAL) -> bool:
        """Whether this step is to be previewed; if so, the next one is not due for `interval` seconds."""
        now = self.now()
        if step == self._step or now < self._next:
            return False
        self._step, self._next = step, now + interval
        return True
