"""The same HTTP request over and over on connections that stay open, at little cost to the server's cores."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_GRACE = 10.0
"""Seconds past its end after which a run is given up."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. An answer without `expected` in its body is a failure, as is one that is not a 200."""

    content: bytes
    expected: bytes


def get(path: str, *, expected: bytes) -> Request:
    return Request(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), expected)


def post(path: str, body: bytes, *, expected: bytes) -> Request:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return Request(head.encode() + body, expected)


@dataclass(frozen=True, slots=True)
class Run:
    latencies: list[float]
    """Seconds from each request to the end of its answer."""
    seconds: float

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None

    async def ask(self, request: Request) -> bytes:
        """The body of the answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request.content)
        body = await self._answer
        if request.expected not in body:
            raise RuntimeError(f"an answer without {request.expected!r}: {body[:300]!r}")
        return body

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not blank or (length and len(body) < int(length[1])):
            return
        self._received = b""
        if length and head.startswith(b"HTTP/1.1 200 "):
            self._settle(body)
        else:
            self._settle(RuntimeError(f"an answer that is not one: {head!r} {body[:300]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(exc or ConnectionError("the server closed the connection"))

    def _settle(self, outcome: bytes | Exception) -> None:
        if self._answer is None or self._answer.done():
            return
        if isinstance(outcome, bytes):
            self._answer.set_result(outcome)
        else:
            self._answer.set_exception(outcome)


@asynccontextmanager
async def connect(port: int) -> AsyncIterator[Connection]:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
    try:
        yield connection
    finally:
        connection.close()


def flood(port: int, request: Request, *, connections: int, seconds: float) -> Run:
    """As many as the server answers: every connection asks again as soon as it has its answer."""
    return asyncio.run(_run(port, request, connections, seconds, pause=0.0))


def drip(port: int, request: Request, *, connections: int, seconds: float, per_second: float) -> Run:
    """So many per second, evenly spread. A request that waits for the answer before it waits on the clock."""
    return asyncio.run(_run(port, request, connections, seconds, pause=connections / per_second))


async def _run(port: int, request: Request, connections: int, seconds: float, *, pause: float) -> Run:
    began = time.perf_counter()
    async with asyncio.timeout(seconds + _GRACE), asyncio.TaskGroup() as group:
        clients = [
            group.create_task(
                _client(port, request, began + pause * number / connections, began + seconds, pause)
            )
            for number in range(connections)
        ]
    elapsed = time.perf_counter() - began
    return Run([one for client in clients for one in client.result()], elapsed)


async def _client(port: int, request: Request, due: float, end: float, pause: float) -> list[float]:
    latencies: list[float] = []
    async with connect(port) as connection:
        while (now := time.perf_counter()) < end:
            if due > now:
                await asyncio.sleep(due - now)
                # A late waking is ours, not the server's.
                began = time.perf_counter()
            else:
                began = due if pause else now
            await connection.ask(request)
            latencies.append(time.perf_counter() - began)
            due += pause
    return latencies
