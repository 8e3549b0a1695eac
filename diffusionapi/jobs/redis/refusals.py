"""What Redis refuses to do, though it answers: said once when it begins, and once when it is over."""

from __future__ import annotations

import logging
import threading
import time

from diffusionapi.logs import Complaints

log = logging.getLogger(__name__)

_QUIET = 5.0
"""Seconds without a refusal after which they are over: who is refused asks again every second."""
_LOOK = 0.5


class Refusals:
    """`closed` ends the thread that says when they are over, which there is only while there are any."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed
        self._reasons = Complaints(_QUIET)
        self._lock = threading.Lock()
        self._going_on = False

    def note(self, error: Exception) -> None:
        # What follows names the script and its line.
        reason = str(error).partition(" script: ")[0]
        with self._lock:
            news = self._reasons.news(reason)
            if not self._going_on:
                self._going_on = True
                threading.Thread(target=self._until_over, name="redis-refusals", daemon=True).start()
        if news:
            log.error("Redis refused: %s; this is said once until it stops", reason)

    def _until_over(self) -> None:
        began = time.monotonic()
        while not self._closed.wait(_LOOK):
            with self._lock:
                if self._reasons.over:
                    self._going_on = False
                    break
        else:
            return
        log.warning("Redis refuses nothing any more, after %.0f s", time.monotonic() - _QUIET - began)
