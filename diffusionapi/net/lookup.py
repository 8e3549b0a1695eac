"""Asks the system for the addresses of a name, in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress

_AT_ONCE = 16


class Lookup:
    """Not in the event loop's threads, which names that take minutes would keep from everybody, and which are
    waited for when the process ends."""

    def __init__(self) -> None:
        self._room = threading.BoundedSemaphore(_AT_ONCE)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Each once, the one to be tried first in front. OSError when there is none."""
        if not self._room.acquire(blocking=False):
            raise OSError(f"{_AT_ONCE} names are being looked up")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()

        def deliver(found: list[str] | Exception) -> None:
            if answer.done():  # whoever asked has gone
                return
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def ask() -> None:
            try:
                found = _ask(host, port)
            finally:
                self._room.release()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(deliver, found)

        threading.Thread(target=ask, name="lookup", daemon=True).start()
        return await answer


def _ask(host: str, port: int) -> list[str] | Exception:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    return list(dict.fromkeys(str(one[4][0]) for one in found))
