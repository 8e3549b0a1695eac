"""JSON Web Tokens, signed by HS256 with a key of their own purpose."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt

from diffusionapi.auth.secret import derived

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALGORITHM = "HS256"
LIFETIME = 240 * 60
"""Seconds for which a token tells who somebody is."""
_LONGEST = 4096
"""Characters of a token that are worth a look."""


class Tokens:
    def __init__(self, secret: bytes, purpose: str) -> None:
        self._key = derived(secret, purpose)

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, _ALGORITHM)

    def read(self, token: str, *, required: Sequence[str]) -> dict[str, Any] | None:
        """The claims of a token of ours that has not expired and has the required ones; else None."""
        if len(token) > _LONGEST:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._key, [_ALGORITHM], options={"require": list(required), "verify_aud": False}
            )
        except jwt.InvalidTokenError:
            return None
        return claims

    def issue(self, name: str) -> str:
        """A token that says who somebody is."""
        return self.signed({"sub": name, "exp": int(time.time()) + LIFETIME})

    def name_in(self, token: str) -> str | None:
        """Who a token says somebody is."""
        claims = self.read(token, required=("sub", "exp"))
        return None if claims is None else str(claims["sub"])
