"""Fetches a file from a URL that a stranger chose: how large, of what type, how long, led on how often.

Each step, and so each redirect, goes past the guard of `net/guarded.py` anew.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from diffusionapi.net.guarded import ERRORS, Guarded, Refused

if TYPE_CHECKING:
    from diffusionapi.net.guarded import Resolver

_MOST_REDIRECTS = 3
_AT_ONCE = 8
_HEADERS = {
    "Accept": "image/png, image/jpeg, image/webp, image/*;q=0.8",
    "Accept-Encoding": "identity",  # what is packed unpacks to any size
}
_UNTYPED = ("", "application/octet-stream", "binary/octet-stream")
"""Types that say nothing, which many stores give to every file."""


class Fetcher:
    def __init__(
        self, *, most_bytes: int, timeout: float, allow_private: bool, resolve: Resolver | None = None
    ) -> None:
        self._most_bytes = most_bytes
        self._timeout = timeout
        self._guarded = Guarded(timeout=timeout, allow_private=allow_private, resolve=resolve)
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Timeout] = set()
        self._stopped = False

    async def fetch(self, url: str) -> bytes:
        """The body of what the URL leads to. Refused, for every reason there is."""
        async with self._room:
            if self._stopped:
                raise Refused("the server stops")
            limit = asyncio.timeout(self._timeout)
            try:
                async with limit:
                    self._running.add(limit)
                    return await self._follow(url)
            except TimeoutError:
                raise Refused(f"it took longer than {self._timeout:g} s") from None
            except ERRORS as error:
                raise Refused(f"{type(error).__name__}: {error}") from error
            finally:
                self._running.discard(limit)

    def stop(self) -> None:
        """End what runs and refuse what comes. Called on the event loop."""
        self._stopped = True
        for limit in self._running:
            limit.reschedule(0)

    async def _follow(self, url: str) -> bytes:
        here = httpx.URL(url)
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._guarded.asked("GET", here, _HEADERS) as answer:
                if not answer.has_redirect_location:
                    return await self._read(answer)
                here = here.join(answer.headers["Location"])
        raise Refused(f"it leads on more than {_MOST_REDIRECTS} times")

    async def _read(self, answer: httpx.Response) -> bytes:
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if answer.status_code != httpx.codes.OK:
            raise Refused(f"status {answer.status_code}")
        if kind not in _UNTYPED and not kind.startswith("image/"):
            raise Refused(f"type {kind!r}")
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refused("it is packed")
        length = answer.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > self._most_bytes:
            raise Refused(f"{length} bytes")
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) > self._most_bytes:
                raise Refused(f"more than {self._most_bytes} bytes")
        return bytes(body)
