"""Storage that refused, and is left alone for a moment, since a worker has more to do than to wait for it."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from diffusionapi.errors import StorageUnavailable
from diffusionapi.logs import Complaints, about

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)


class Outage:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0
        self._complaints = Complaints()
        self._going_on: set[str] = set()
        """What cannot be done that is no job's; that it can is said, too."""

    @property
    def on(self) -> bool:
        return time.monotonic() < self._until

    @contextmanager
    def noted(self, what: str, job_id: str | None = None) -> Iterator[None]:
        """For what can be done later, or not at all. An outage is told once, and not at every try."""
        try:
            yield
        except StorageUnavailable as error:
            self._until = time.monotonic() + self._seconds
            news = self._complaints.news(f"{what} {job_id} {error.sentence}")
            extra = about(job_id) if job_id else None
            log.log(logging.WARNING if news else logging.DEBUG, "%s: %s", what, error.sentence, extra=extra)
            if job_id is None:
                self._going_on.add(what)
        else:
            if job_id is None and what in self._going_on:
                self._going_on.remove(what)
                log.warning("%s: that is over", what)
