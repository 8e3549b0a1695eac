from __future__ import annotations

import base64
import itertools
import json
import time
import warnings
from typing import Any

import jwt
import pytest

from diffusionapi.auth.secret import derived
from diffusionapi.auth.tokens import Tokens

SECRET = b"s" * 32
TOKENS = Tokens(SECRET, "users")


def claims_of(token: str) -> dict[str, Any]:
    middle = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return found


def test_a_token_says_who_and_until_when_and_nothing_else() -> None:
    claims = claims_of(TOKENS.issue("bob"))
    assert list(claims) == ["sub", "exp"]
    assert claims["sub"] == "bob"
    assert claims["exp"] == pytest.approx(time.time() + 240 * 60, abs=5)
    assert TOKENS.name_in(TOKENS.issue("bob")) == "bob"


def forged(claims: dict[str, Any], algorithm: str = "HS256") -> str:
    key = derived(SECRET, "users") if algorithm != "none" else None
    with warnings.catch_warnings(action="ignore"):
        return jwt.encode(claims, key, algorithm)


SOON = time.time() + 1000


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        TOKENS.issue("bob")[:-4] + "AAAA",
        Tokens(SECRET, "blobs").issue("bob"),
        Tokens(b"o" * 32, "users").issue("bob"),
        forged({"sub": "bob", "exp": time.time() - 1}),
        forged({"sub": "bob"}),
        forged({"exp": SOON}),
        forged({"sub": None, "exp": SOON}),
        forged({"sub": 7, "exp": SOON}),
        forged({"sub": "bob", "exp": SOON}, algorithm="HS512"),
        forged({"sub": "bob", "exp": SOON}, algorithm="none"),
        TOKENS.issue("bob" * 2000),
    ],
    ids=itertools.count(),  # they hold the time, and a test has the same name in every process
)
def test_a_token_that_is_not_ours_expired_or_incomplete_says_nothing(token: str) -> None:
    assert TOKENS.name_in(token) is None


def test_what_is_signed_without_a_time_never_expires_and_is_always_the_same() -> None:
    assert TOKENS.signed({"blob_id": "1"}) == TOKENS.signed({"blob_id": "1"})
    assert TOKENS.read(TOKENS.signed({"blob_id": "1"}), required=("blob_id",)) == {"blob_id": "1"}
