"""Previews by way of Redis: watchers say on the channel that they want them, workers that there is one."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from diffusionapi.errors import StorageUnavailable
from diffusionapi.jobs import previews
from diffusionapi.jobs.previews import Previews, parsed, printed
from diffusionapi.jobs.redis.names import CHANGES, key

if TYPE_CHECKING:
    from diffusionapi.core.events import Preview
    from diffusionapi.jobs.redis.connect import Connection

_MANY = 1000
"""Wishes, of which a process that only works hears all, after which it removes those that are over."""
_SECONDS = 60
"""How long one is kept; there is a next one long before."""
_FRESH = 1.0
"""Seconds that what was read counts without word of a newer one. Watchers look twenty times a second."""


class RedisPreviews(Previews):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._own = uuid.uuid4().hex[:8]
        """What our words are known by: when they come back to us, the job may be over."""
        self._wanted: dict[str, float] = {}
        """By job until when somebody wants them, anywhere."""
        self._latest: dict[str, tuple[float, Preview | None]] = {}
        """What was read here, and when."""

    def want(self, job_id: str) -> None:
        self._note_want(job_id)
        self._send("PUBLISH", CHANGES, f"want {job_id} {self._own}")

    def wanted(self, job_id: str) -> bool:
        said = self._wanted.get(job_id)
        return said is not None and time.monotonic() < said + previews.WANTED_SECONDS

    def put(self, job_id: str, preview: Preview) -> None:
        self._send("SET", key("preview", job_id), printed(preview), "EX", _SECONDS)
        self._send("PUBLISH", CHANGES, f"shown {job_id} {self._own}")
        self._latest[job_id] = time.monotonic(), preview

    def latest(self, job_id: str) -> Preview | None:
        if self.at_hand(job_id) and (known := self._latest.get(job_id)):
            return known[1]
        return self._read(job_id)

    def at_hand(self, job_id: str) -> bool:
        known = self._latest.get(job_id)
        return known is not None and time.monotonic() <= known[0] + _FRESH

    def drop(self, job_id: str) -> None:
        self._wanted.pop(job_id, None)
        self._latest.pop(job_id, None)
        self._send("DEL", key("preview", job_id))

    def sweep(self) -> None:
        for job_id in list(self._wanted):
            if not self.wanted(job_id):
                self._wanted.pop(job_id, None)
        for job_id, (read_at, _) in list(self._latest.items()):
            if time.monotonic() > read_at + _SECONDS:
                self._latest.pop(job_id, None)

    # --- what the listener hears ------------------------------------------------------------------------

    def hear_want(self, job_id: str, by: str = "") -> None:
        if by != self._own:
            self._note_want(job_id)

    def hear_shown(self, job_id: str, by: str = "") -> None:
        if by != self._own and job_id in self._latest:
            self._read(job_id)

    def _note_want(self, job_id: str) -> None:
        if len(self._wanted) >= _MANY:
            self.sweep()
        self._wanted[job_id] = time.monotonic()

    def _read(self, job_id: str) -> Preview | None:
        with suppress(StorageUnavailable, ValueError):
            content = self._connection.call("GET", key("preview", job_id))
            preview = None if content is None else parsed(content)
            self._latest[job_id] = time.monotonic(), preview
            return preview
        return None

    def _send(self, *command: object) -> None:
        with suppress(StorageUnavailable):
            self._connection.call(*command)
