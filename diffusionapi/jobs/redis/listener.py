"""The thread that hears what other processes say of jobs, and says when it could not hear."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from diffusionapi.errors import StorageUnavailable
from diffusionapi.jobs.redis import messages
from diffusionapi.jobs.redis.names import CHANGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.client import PubSub

    from diffusionapi.jobs.redis.connect import Connection
    from diffusionapi.jobs.redis.messages import Message

log = logging.getLogger(__name__)

_ASK = 3.0
"""Seconds of silence after which it is asked whether the connection still stands, and for an answer."""
_RETRY = 0.25
_PAUSE = 0.1
"""Seconds after which it is seen that the store was closed."""


class Listener(threading.Thread):
    """`found` is called whenever a connection stands anew: what was said before may have been missed."""

    def __init__(self, connection: Connection, found: Callable[[], None]) -> None:
        super().__init__(name="redis-listener", daemon=True)
        self._connection = connection
        self._take: Callable[[Message], None] | None = None
        self._found = found
        self._closed = threading.Event()
        self._hears = threading.Event()

    @property
    def hears(self) -> bool:
        """Whether nothing can have been missed."""
        return self._hears.is_set()

    def hear(self, take: Callable[[Message], None]) -> None:
        """Start, and have each message taken in."""
        self._take = take
        self.start()

    def run(self) -> None:
        while not self._closed.is_set():
            try:
                with self._connection.storage_errors():
                    self._listen()
            except StorageUnavailable as error:
                log.debug("not listening: %s", error.sentence)
            except Exception:
                # A defect of ours must not make this process deaf.
                log.exception("the listener failed; starting it again")
            finally:
                self._hears.clear()
            self._closed.wait(_RETRY)

    def stop(self) -> None:
        self._closed.set()

    def _listen(self) -> None:
        listening = self._connection.listen()
        try:
            listening.subscribe(CHANGES)
            last, asked = time.monotonic(), False
            while not self._closed.is_set():
                message = listening.get_message(timeout=_PAUSE)
                now = time.monotonic()
                if message is None:
                    if now > last + 2 * _ASK:
                        return
                    if now > last + _ASK and not asked:
                        asked = True
                        listening.ping()
                    continue
                last, asked = now, False
                self._sort(message)
        finally:
            self._hears.clear()
            _close(listening)

    def _sort(self, message: dict[str, object]) -> None:
        if message["type"] == "subscribe":
            self._hears.set()
            self._found()
        elif message["type"] == "message":
            content = message["data"]
            assert isinstance(content, bytes)
            assert self._take is not None
            self._take(messages.read(content))


def _close(listening: PubSub) -> None:
    try:
        listening.close()
    except Exception:
        log.debug("a connection that is over was closed", exc_info=True)
