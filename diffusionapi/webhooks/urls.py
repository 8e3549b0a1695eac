"""Where a webhook may lead, as far as its URL says so; where a name leads is looked up when it is called."""

from __future__ import annotations

import httpx

from diffusionapi.net.guarded import refusal


def problem(url: str, *, allow_private: bool) -> str | None:
    """Why nobody would be called there, for who asks for it; None if nothing speaks against it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "must be an http or https URL with a host"
    if (found := refusal(parsed, allow_private=allow_private)) is None:
        return None
    private = refusal(parsed, allow_private=True) is None
    return f"must {found} (ALLOW_PRIVATE_URLS)" if private else f"must {found}"
