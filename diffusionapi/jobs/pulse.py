"""What idle workers of a process sleep on."""

from __future__ import annotations

import threading


class Pulse:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._changes = 0

    @property
    def value(self) -> int:
        return self._changes

    def wait(self, timeout: float, *, since: object) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._changes != since, timeout)

    def wake(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()
