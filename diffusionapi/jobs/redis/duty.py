"""A place that one process has at a time among all machines: a key with an end, renewed while it is held."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING

from diffusionapi.errors import StorageUnavailable
from diffusionapi.jobs.redis.names import key
from diffusionapi.logs import Complaints

if TYPE_CHECKING:
    from diffusionapi.jobs.redis.connect import Connection

log = logging.getLogger(__name__)

_SECONDS = 6.0
"""How long a process that died, or that Redis cannot hear, keeps its place."""
_RENEW = 2.0
_IF_OURS = "if redis.call('GET', ARGV[1]) == ARGV[2] then return "
_KEEP = _IF_OURS + "redis.call('PEXPIRE', ARGV[1], ARGV[3]) end return 0"
_LEAVE = _IF_OURS + "redis.call('DEL', ARGV[1]) end return 0"


class RedisDuty:
    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = key("duty", name)
        self._until = 0.0
        """Our own clock (monotonic), and so before Redis lets the place go."""
        self._token = ""
        self._over = threading.Event()

    def acquire(self) -> bool:
        began = time.monotonic()
        self._token = uuid.uuid4().hex
        taken = self._connection.call("SET", self._name, self._token, "NX", "PX", int(_SECONDS * 1000))
        if taken is None:
            return False
        self._until = began + _SECONDS
        self._over = threading.Event()
        threading.Thread(target=self._renew, args=(self._token, self._over), name="duty", daemon=True).start()
        return True

    def kept(self) -> bool:
        return time.monotonic() < self._until

    def release(self) -> None:
        self._until = 0.0
        self._over.set()
        try:
            self._connection.run(_LEAVE, self._name, self._token)
        except StorageUnavailable as error:
            log.warning("%s is free a little later: %s", self._name, error.sentence)

    def _renew(self, token: str, over: threading.Event) -> None:
        """Until it is given up or lost. A Redis that is away for a moment has lost nothing yet."""
        complaints = Complaints()
        while not over.wait(_RENEW) and self.kept():
            began = time.monotonic()
            try:
                ours = self._connection.run(_KEEP, self._name, token, int(_SECONDS * 1000))
                if not ours or over.is_set():
                    break
                self._until = began + _SECONDS
            except StorageUnavailable as error:
                if complaints.news(error.sentence):
                    log.warning("%s is not renewed: %s", self._name, error.sentence)
        if not over.is_set():
            self._until = 0.0
