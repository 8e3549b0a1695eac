"""Storage that refused, and is left alone for a moment, since a worker has more to do than to wait for it."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from diffusionapi.errors import StorageUnavailable
from diffusionapi.logs import about

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)


class Outage:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0

    @property
    def on(self) -> bool:
        return time.monotonic() < self._until

    @contextmanager
    def noted(self, what: str, job_id: str | None = None) -> Iterator[None]:
        """For what can be done later, or not at all."""
        try:
            yield
        except StorageUnavailable as error:
            self._until = time.monotonic() + self._seconds
            log.warning("%s: %s", what, error.sentence, extra=about(job_id) if job_id else None)
