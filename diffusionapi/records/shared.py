"""One way to Redis for all that a process keeps there beside its jobs: there as long as anybody needs it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.jobs.redis.connect import Connection


class SharedConnection:
    """Made when it is first needed, closed when the last who joined has left; a later use makes it anew."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._users: set[object] = set()
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        with self._lock:
            if self._connection is None:
                # Imported late: it needs a package that not everybody has.
                from diffusionapi.jobs.redis.connect import Connection

                self._connection = Connection(self._url)
            return self._connection

    @contextmanager
    def joined(self) -> Iterator[Connection]:
        """For who needs it once."""
        user = object()
        self.join(user)
        try:
            yield self.connection
        finally:
            self.leave(user)

    def join(self, user: object) -> None:
        with self._lock:
            self._users.add(user)

    def leave(self, user: object) -> None:
        with self._lock:
            self._users.discard(user)
            if self._users or self._connection is None:
                return
            connection, self._connection = self._connection, None
        connection.close()
