"""The headers by which a receiver knows a message: of Standard Webhooks 1.0."""

from __future__ import annotations

import base64
import hmac

_SECRET_PREFIX = "whsec_"  # noqa: S105 - of a secret, and none itself


def headers(message_id: str, at: float, body: bytes, key: bytes) -> dict[str, str]:
    """`message_id` stays the same from try to try, so that a receiver knows what it has seen."""
    moment = str(int(at))
    found = {"webhook-id": message_id, "webhook-timestamp": moment}
    if key:
        signed = hmac.digest(key, f"{message_id}.{moment}.".encode() + body, "sha256")
        found["webhook-signature"] = "v1," + base64.b64encode(signed).decode()
    return found


def shared(key: bytes) -> str:
    """A signing key as libraries that check signatures take it."""
    return _SECRET_PREFIX + base64.b64encode(key).decode()
