"""Fetches a file from a URL that a stranger chose, without being led to where only we can go.

Every name is looked up once, all its addresses are checked, and the connection goes to a checked address by
number, at every redirect anew; so no second answer of the DNS matters. `httpx_secure` checks the same once
more where the connection is made.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

import httpx
from httpx_secure import httpx_ssrf_protection

from diffusionapi import __version__
from diffusionapi.intake.addresses import PORTS, is_public
from diffusionapi.intake.lookup import Lookup

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    Resolver = Callable[[str, int], Awaitable[list[str]]]

_MOST_REDIRECTS = 3
_MOST_ADDRESSES = 4
"""Of one name that are tried when the first does not answer."""
_AT_ONCE = 8
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HEADERS = {
    "User-Agent": f"diffusionapi/{__version__}",
    "Accept": "image/png, image/jpeg, image/webp, image/*;q=0.8",
    "Accept-Encoding": "identity",  # what is packed unpacks to any size
}
_UNTYPED = ("", "application/octet-stream", "binary/octet-stream")
"""Types that say nothing, which many stores give to every file."""


class Refused(Exception):
    """Why a URL gave nothing: for the log, never for the client."""


class Fetcher:
    def __init__(
        self, *, most_bytes: int, timeout: float, allow_private: bool, resolve: Resolver | None = None
    ) -> None:
        self._most_bytes = most_bytes
        self._timeout = timeout
        self._allow_private = allow_private
        self._resolve = resolve or Lookup().addresses
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
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                raise Refused(f"{type(error).__name__}: {error}") from error
            except (OSError, ValueError) as error:  # of sockets, TLS and odd names
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
            answer = await self._ask(here)
            if isinstance(answer, bytes):
                return answer
            here = here.join(answer)
        raise Refused(f"it leads on more than {_MOST_REDIRECTS} times")

    async def _ask(self, url: httpx.URL) -> bytes | str:
        """The body, or where it leads."""
        addresses = await self._addresses(url)
        for address in addresses[:-1]:
            try:
                return await self._ask_at(address, url)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._ask_at(addresses[-1], url)

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """The addresses of its host, all of them fit to be asked."""
        if url.scheme not in _DEFAULT_PORTS or not url.host:
            raise Refused("it is no http or https URL with a host")
        if url.userinfo:
            raise Refused("it carries a name or password")
        port = url.port or _DEFAULT_PORTS[url.scheme]
        if not self._allow_private and port not in PORTS:
            raise Refused(f"port {port} is none of the web's")
        addresses = await self._resolve(url.raw_host.decode("ascii").strip("[]"), port)
        if not addresses:
            raise Refused("its host has no address")
        if not self._allow_private and (hidden := [one for one in addresses if not is_public(one)]):
            raise Refused(f"its host has an address that is not public: {hidden[0]}")
        return addresses[:_MOST_ADDRESSES]

    async def _ask_at(self, address: str, url: httpx.URL) -> bytes | str:
        # A client for each: no cookie or connection is left over from one to the next.
        client = httpx.AsyncClient(
            verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._timeout
        )
        if not self._allow_private:
            httpx_ssrf_protection(client, custom_validator=lambda _, ip, __: is_public(str(ip)))
        async with client:
            request = client.build_request(
                "GET",
                url.copy_with(host=address, fragment=None),
                headers=_HEADERS | {"Host": url.netloc.decode("ascii")},
                extensions={"sni_hostname": url.raw_host.decode("ascii").strip("[]")},
            )
            answer = await client.send(request, stream=True)
            try:
                return await self._read(answer)
            finally:
                await answer.aclose()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context(trust_env=False)

    async def _read(self, answer: httpx.Response) -> bytes | str:
        if answer.has_redirect_location:
            return answer.headers["Location"]
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
