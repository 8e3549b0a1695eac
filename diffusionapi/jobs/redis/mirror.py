"""How far the jobs are that somebody in this process looks at, so that a look is no call to Redis.

It goes with the messages of the holders, and asks anew after a second in any case.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusionapi.core.job import Progress

FRESH = 1.0
"""Seconds a record counts as true without a word of Redis."""
_WATCHED = 5.0
"""Seconds after a look during which a job is kept current."""
_MOST = 10_000


@dataclass(slots=True)
class _Image:
    progress: Progress
    read_at: float
    seen_at: float


class Mirror:
    def __init__(self) -> None:
        self._images: dict[str, _Image] = {}
        self._lock = threading.Lock()

    def look(self, job_id: str) -> Progress | None:
        """None when it has to be read from Redis."""
        image, now = self._images.get(job_id), time.monotonic()
        if image is None or now > image.read_at + FRESH:
            return None
        image.seen_at = now
        return image.progress

    def show(self, job_id: str, progress: Progress) -> None:
        """It was read for somebody who looks."""
        now = time.monotonic()
        with self._lock:
            if len(self._images) >= _MOST:
                self._images = {k: one for k, one in self._images.items() if now < one.seen_at + _WATCHED}
            if len(self._images) < _MOST:
                self._images[job_id] = _Image(progress, now, now)

    def update(self, job_id: str, progress: Progress) -> None:
        """It was read, or written here; older records change nothing."""
        with self._lock:
            image = self._images.get(job_id)
            if image is not None and progress.number >= image.progress.number:
                image.progress, image.read_at = progress, time.monotonic()

    def wants(self, job_id: str, number: int) -> bool:
        """Whether a job that came to event `number` should be read again for those who look at it."""
        image, now = self._images.get(job_id), time.monotonic()
        if image is None:
            return False
        if now > image.seen_at + _WATCHED:
            self.drop(job_id)
            return False
        return image.progress.number < number

    def drop(self, job_id: str) -> None:
        with self._lock:
            self._images.pop(job_id, None)

    def clear(self) -> None:
        with self._lock:
            self._images.clear()
