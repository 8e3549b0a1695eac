"""One request to a URL that a stranger chose, past a guard against private addresses.

A name is looked up once, all its addresses are checked, and the connection goes to a checked address by
number; so no second answer of the DNS matters. `httpx_secure` checks the same once more where the connection
is made. It alone would open a connection to a private address before it refuses it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import httpx
from httpx_secure import SSRFProtectionError, httpx_ssrf_protection

from diffusionapi import __version__
from diffusionapi.net.addresses import PORTS, is_address, is_public
from diffusionapi.net.lookup import Lookup

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    Resolver = Callable[[str, int], Awaitable[list[str]]]

AGENT = f"diffusionapi/{__version__}"
ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError)
"""What a request may end in beside Refused: of HTTP, sockets, TLS and odd names."""
_MOST_ADDRESSES = 4
"""Of one name that are tried when the first does not answer."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Refused(Exception):
    """Why nobody may be sent to a URL, or what came of it is not taken: for the log, never for the client."""


def refusal(url: httpx.URL, *, allow_private: bool) -> str | None:
    """What a URL must be or do for anybody to be sent to it, as far as it says so itself; None if it does."""
    if url.scheme not in _DEFAULT_PORTS or not url.host:
        return "be an http or https URL with a host"
    if url.userinfo:
        return "carry no name or password"
    if allow_private:
        return None
    if (url.port or _DEFAULT_PORTS[url.scheme]) not in PORTS:
        return "lead to port 80, 443, 8080 or 8443"
    return "lead to a public address" if is_address(url.host) and not is_public(url.host) else None


class Guarded:
    """`timeout` (s) is that of each of connecting, writing and reading; a limit for all is the caller's."""

    def __init__(self, *, timeout: float, allow_private: bool, resolve: Resolver | None = None) -> None:
        self._timeout = timeout
        self._allow_private = allow_private
        self._resolve = resolve or Lookup().addresses

    @asynccontextmanager
    async def asked(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes | None = None
    ) -> AsyncIterator[httpx.Response]:
        """The answer, its body not read yet. Redirects are not followed. Refused, and all of ERRORS."""
        addresses = await self.addresses(url)
        client, answer = await self._first_that_answers(addresses, method, url, headers, content)
        try:
            yield answer
        finally:
            await answer.aclose()
            await client.aclose()

    async def addresses(self, url: httpx.URL) -> list[str]:
        """The addresses of its host, all of them fit to be asked; Refused, and OSError when there is none."""
        if (problem := refusal(url, allow_private=self._allow_private)) is not None:
            raise Refused(f"it must {problem}")
        port = url.port or _DEFAULT_PORTS[url.scheme]
        addresses = await self._resolve(url.raw_host.decode("ascii").strip("[]"), port)
        if not addresses:
            raise OSError("its host has no address")
        if not self._allow_private and (hidden := [one for one in addresses if not is_public(one)]):
            raise Refused(f"its host has an address that is not public: {hidden[0]}")
        return addresses[:_MOST_ADDRESSES]

    async def _first_that_answers(
        self,
        addresses: list[str],
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> tuple[httpx.AsyncClient, httpx.Response]:
        for address in addresses[:-1]:
            try:
                return await self.ask_at(address, method, url, headers, content)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self.ask_at(addresses[-1], method, url, headers, content)

    async def ask_at(
        self, address: str, method: str, url: httpx.URL, headers: Mapping[str, str], content: bytes | None
    ) -> tuple[httpx.AsyncClient, httpx.Response]:
        """The answer of a checked address, and what has to be closed after it."""
        # A client for each: no cookie or connection is left over from one to the next.
        client = httpx.AsyncClient(
            verify=self._tls, trust_env=False, follow_redirects=False, timeout=self._timeout
        )
        if not self._allow_private:
            httpx_ssrf_protection(client, custom_validator=lambda _, ip, __: is_public(str(ip)))
        try:
            request = client.build_request(
                method,
                url.copy_with(host=address, fragment=None),
                headers={"User-Agent": AGENT} | dict(headers) | {"Host": url.netloc.decode("ascii")},
                content=content,
                extensions={"sni_hostname": url.raw_host.decode("ascii").strip("[]")},
            )
            return client, await client.send(request, stream=True)
        except SSRFProtectionError as error:
            await client.aclose()
            raise Refused(f"{type(error).__name__}: {error}") from error
        except BaseException:
            await client.aclose()
            raise

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context(trust_env=False)
