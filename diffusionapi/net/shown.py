"""A URL as it may stand in a log: without query, name and password, which may hold secrets."""

from __future__ import annotations

_MOST = 200


def shown(url: str) -> str:
    scheme, _, rest = url.partition("?")[0].partition("#")[0].partition("://")
    return repr(f"{scheme}://{rest.rpartition('@')[2]}"[:_MOST])
