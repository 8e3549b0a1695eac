"""How it goes with starting an engine: what keeps it from living, said once, and how long to wait."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

_MOMENT = 3.0
"""Seconds after which an engine without jobs is taken to live."""
_LONGEST = 60.0


class Starts:
    """`problem` is for /readyz, asked from other threads: empty while nothing is known against the engine."""

    def __init__(self, worker: str, pause: float) -> None:
        self.problem = ""
        self._worker = worker
        self._first = self._pause = pause
        self._began = time.monotonic()

    def began(self) -> None:
        """There is an engine."""
        self._began = time.monotonic()

    def lives(self, *, works: bool) -> None:
        """Told again and again while there is; whether it has jobs."""
        if self.problem and (works or self.lived):
            self.problem = ""
            self._pause = self._first
            log.warning("the engine of %s lives again", self._worker)

    def failed(self, sentence: str) -> float:
        """No engine came, or one died of nothing; the seconds to wait before the next."""
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST)
        problem = f"the engine does not start: {sentence}"
        if problem != self.problem:
            self.problem = problem
            log.error("%s (%s); trying again, at last every %g s", problem, self._worker, _LONGEST)
        return pause

    @property
    def lived(self) -> bool:
        """Long enough for its end to be no failure of its start."""
        return time.monotonic() - self._began > _MOMENT
