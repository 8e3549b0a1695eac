"""The way to Redis: it answers within a second and a half, or StorageUnavailable is raised.

After a failure nobody waits for it again: calls are refused at once until a thread that asks on its own finds
it back.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from diffusionapi.errors import Misconfigured, StorageFull, StorageUnavailable
from diffusionapi.jobs.redis.names import ROOT
from diffusionapi.jobs.redis.refusals import Refusals

try:
    from redis import Redis, exceptions
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError as missing:
    raise Misconfigured(
        "JOB_STORE names a Redis; install its client: .venv/bin/pip install -c constraints.txt -e '.[redis]'"
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.client import PubSub
    from redis.commands.core import Script

log = logging.getLogger(__name__)

_TIMEOUT = 1.2
"""Seconds for a connection, and for an answer."""
_PROBE = 0.25
"""Seconds between two looks whether Redis is back."""
_AWAY = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
"""Also while it reads its files after a start."""
_OLDEST = 7
_SENTENCE = "The queue's Redis cannot be reached now; try again in a few seconds"


class Connection:
    """Shared by all threads of a process."""

    def __init__(self, url: str) -> None:
        try:
            self._client = Redis.from_url(
                url,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                # A command whose answer was lost may have been carried out: who sent it decides.
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except ValueError as error:
            raise Misconfigured(f"Setting JOB_STORE: {error}") from error
        self._scripts: dict[str, Script] = {}
        self._lock = threading.Lock()
        self._away = False
        self._probe: threading.Thread | None = None
        self._closed = threading.Event()
        self._refusals = Refusals(self._closed)

    def call(self, *command: Any) -> Any:
        with self._answering():
            return self._client.execute_command(*command)  # type: ignore[no-untyped-call]

    def calls(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """All of them on one way there and back; not as one step."""
        with self._answering():
            pipeline = self._client.pipeline(transaction=False)
            for one in commands:
                pipeline.execute_command(*one)  # type: ignore[no-untyped-call]
            return pipeline.execute()

    def run(self, script: str, *arguments: Any) -> Any:
        """Take a step of scripts.py."""
        known = self._scripts.get(script)
        if known is None:
            known = self._scripts[script] = self._client.register_script(script)
        with self._answering():
            return known(keys=[ROOT], args=arguments)

    def listen(self) -> PubSub:
        """A connection of its own, for a thread that waits for messages."""
        listening: PubSub = self._client.pubsub()  # type: ignore[no-untyped-call]
        return listening

    def close(self) -> None:
        with self._lock:
            self._closed.set()
            probe = self._probe
        if probe is not None:
            probe.join()
        # Those that another thread is using at this moment are not taken from under it.
        self._client.connection_pool.disconnect(inuse_connections=False)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        if self._away or self._closed.is_set():
            raise StorageUnavailable(_SENTENCE)
        with self.storage_errors():
            try:
                yield
            except _AWAY as error:
                self._lose(error)
                raise

    @contextmanager
    def storage_errors(self) -> Iterator[None]:
        """What Redis says when it cannot do its work, in our words."""
        try:
            yield
        except exceptions.OutOfMemoryError as error:
            raise StorageFull(
                "The queue's Redis has no memory left; have it given more, or jobs fetched"
            ) from error
        except _AWAY as error:
            raise StorageUnavailable(_SENTENCE) from error
        except exceptions.RedisError as error:
            self._refusals.note(error)
            raise StorageUnavailable(
                "The queue's Redis refuses to work now; its operator can read why"
            ) from error

    def _lose(self, error: Exception) -> None:
        with self._lock:
            if self._away or self._closed.is_set():
                return
            self._away = True
            self._probe = threading.Thread(target=self._find, name="redis-probe", daemon=True)
            self._probe.start()
        log.warning("Redis does not answer (%s); trying until it does", error)

    def _find(self) -> None:
        began = time.monotonic()
        while not self._closed.wait(_PROBE):
            with suppress(exceptions.RedisError, OSError):
                self._client.ping()
                self._away = False
                log.warning("Redis is back after %.1f s", time.monotonic() - began)
                return


def doubts(connection: Connection) -> list[str]:
    """What of Redis' own settings may lose jobs, or is not enough for us."""
    found = []
    server, memory, persistence = connection.calls(
        [("INFO", "server"), ("INFO", "memory"), ("INFO", "persistence")]
    )
    version = str(server.get("redis_version", ""))
    if version and int(version.partition(".")[0]) < _OLDEST:
        found.append(f"Redis {version} is too old to keep jobs; it has to be {_OLDEST} or newer, or Valkey")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        found.append(
            f"Redis removes keys when its memory is full (maxmemory-policy {policy}), and jobs with them; "
            "set it to noeviction"
        )
    if not persistence.get("aof_enabled"):
        found.append(
            "Redis keeps no log of what it is told, and its end is that of all jobs; set appendonly yes"
        )
    return found
