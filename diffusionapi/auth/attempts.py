"""How often somebody may try to log in or to sign up. Each process counts for itself."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from diffusionapi.errors import TooManyAttempts

_OF_AN_ADDRESS = 5
"""Times as many as for one user from it: a household, an office."""
_OF_A_USER = 10
"""Times as many from all addresses together: enough that a stranger hardly locks somebody out, and too few
to guess a password from a thousand machines."""


class Attempts:
    def __init__(self, a_minute: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._pair = RateLimitItemPerMinute(a_minute)
        self._address = RateLimitItemPerMinute(a_minute * _OF_AN_ADDRESS)
        self._user = RateLimitItemPerMinute(a_minute * _OF_A_USER)

    def log_in(self, name: str, address: str) -> None:
        """Count an attempt before it is made: a hundred at once are a hundred. TooManyAttempts."""
        self._count(self._address, "log-in", address)
        self._count(self._pair, "log-in", name, address)
        self._count(self._user, "user", name)

    def succeeded(self, name: str, address: str) -> None:
        """Who knows the password may forget the attempts before."""
        self._limiter.clear(self._pair, "log-in", name, address)

    def sign_up(self, address: str) -> None:
        self._count(self._address, "sign-up", address)

    def _count(self, limit: RateLimitItemPerMinute, *who: str) -> None:
        if self._limiter.hit(limit, *who):
            return
        raise TooManyAttempts(seconds_to_wait(self._limiter, limit, *who))


def seconds_to_wait(limiter: MovingWindowRateLimiter, limit: RateLimitItem, *who: str) -> int:
    """Whole seconds until somebody who is over the limit has room again."""
    return max(1, math.ceil(limiter.get_window_stats(limit, *who).reset_time - time.time()))
