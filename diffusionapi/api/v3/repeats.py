"""How often one key may send one and the same request. Each process counts for itself."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from diffusionapi.auth.attempts import seconds_to_wait
from diffusionapi.errors import TooManyRepeats

if TYPE_CHECKING:
    from collections.abc import Mapping

WINDOW = 30
"""Seconds, as the answer says."""


class Repeats:
    def __init__(self, most: int) -> None:
        """`most` are let pass within the window; 0: any number."""
        self._limit = RateLimitItemPerSecond(most, WINDOW) if most else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, owner: str, path: str, fields: Mapping[str, Any]) -> None:
        """TooManyRepeats."""
        if self._limit is None:
            return
        said = json.dumps([path, fields], sort_keys=True).encode()
        who = owner, hashlib.sha256(said).hexdigest()
        if not self._limiter.hit(self._limit, *who):
            raise TooManyRepeats(seconds_to_wait(self._limiter, self._limit, *who))
