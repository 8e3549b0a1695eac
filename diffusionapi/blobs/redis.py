"""A shelf in Redis, for small deployments: everything on it is in memory, and goes after its time.

The times by which names are found, and all ages, are Redis's own. A file and its line in the list of ages are
written in one step.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from diffusionapi.blobs.shelf import Shelf
from diffusionapi.errors import Misconfigured, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from diffusionapi.settings import Settings

_CONNECT = 1.0
_TIMEOUT = 1.5
"""Seconds a call may take: a poll that needs a picture has an answer, be it 503, within two."""
_CONNECTIONS = 16
_CHECKED = 60
"""Seconds the file stays that a check leaves."""

_NOW = "local t = redis.call('TIME'); local now = t[1] + t[2] / 1000000;"
_WRITE = (
    _NOW
    + """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2] - 1)
return 1
"""
)
"""Keys: the file, the ages. Arguments: content, seconds, name. Names of files that have gone go, too."""
_TOUCH = (
    _NOW
    + """
if redis.call('EXPIRE', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[2], now, ARGV[2])
return 1
"""
)
_REMOVE = """
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('UNLINK', KEYS[1])
"""
_REMOVE_AGED = """
local touched = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not touched or tonumber(touched) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('UNLINK', KEYS[1])
"""


def connected(settings: Settings) -> Redis:
    """A client of the Redis that keeps the jobs. Nothing is connected before its first call."""
    if settings.redis_url is None:
        raise Misconfigured(
            "Setting BLOBS: 'redis:' keeps pictures beside the jobs, which are not in Redis; set JOB_STORE "
            "or REDIS_HOST, or use BLOBS=file:"
        )
    try:
        from redis import BlockingConnectionPool, Redis
        from redis.backoff import NoBackoff
        from redis.exceptions import ConnectionError as Broken
        from redis.retry import Retry
    except ImportError as missing:
        raise Misconfigured(
            "Setting BLOBS: it needs the package redis; "
            ".venv/bin/pip install -c constraints.txt -e '.[redis]' installs it"
        ) from missing
    pool: Any = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=_CONNECTIONS,
        timeout=_TIMEOUT,
        socket_connect_timeout=_CONNECT,
        socket_timeout=_TIMEOUT,
        # Once more, at once: after a restart of Redis all connections that were open are broken.
        retry=Retry(NoBackoff(), 1, supported_errors=(Broken,)),
    )
    return Redis(connection_pool=pool)


class RedisShelf(Shelf):
    """`folder` is the part of its names that this shelf takes; its files go after `seconds`."""

    def __init__(self, redis: Redis, folder: str, *, seconds: float) -> None:
        # In braces: on a cluster they are all on one node, as a script needs its keys to be.
        self._prefix = f"{{diffusionapi}}:{folder}:"
        self._ages = f"{{diffusionapi}}:{folder}"
        self._seconds = max(1, round(seconds))
        self._redis: Any = redis
        self._scripts = functools.cache(self._redis.register_script)

    def write(self, name: str, content: bytes) -> None:
        self._run(_WRITE, name, content, self._seconds, name)

    def read(self, name: str) -> bytes | None:
        with _errors():
            content: bytes | None = self._redis.get(self._prefix + name)
        return content

    def beginning(self, name: str, length: int) -> bytes | None:
        with _errors():
            content: bytes = self._redis.getrange(self._prefix + name, 0, length - 1)
        return content or None

    def has(self, name: str) -> bool:
        with _errors():
            return bool(self._redis.exists(self._prefix + name))

    def remove(self, name: str) -> None:
        self._run(_REMOVE, name, name)

    def touch(self, name: str) -> bool:
        return bool(self._run(_TOUCH, name, self._seconds, name))

    def aged(self, before: float) -> set[str]:
        with _errors():
            names: list[bytes] = self._redis.zrangebyscore(self._ages, "-inf", f"({before!r}")
        return {name.decode() for name in names}

    def remove_aged(self, name: str, before: float) -> bool:
        return bool(self._run(_REMOVE_AGED, name, name, repr(before)))

    def check(self) -> None:
        with _errors():
            self._redis.set(self._prefix + ".probe", b"probe", ex=_CHECKED)

    def _run(self, script: str, name: str, *arguments: bytes | float | str) -> object:
        with _errors():
            return self._scripts(script)(keys=[self._prefix + name, self._ages], args=arguments)


@contextmanager
def _errors() -> Iterator[None]:
    from redis.exceptions import OutOfMemoryError, RedisError

    try:
        yield
    except OutOfMemoryError as error:
        raise StorageFull("Redis has no memory left for pictures; try again later") from error
    except RedisError as error:
        raise StorageUnavailable(
            f"Redis cannot be asked for pictures now ({type(error).__name__}); try again"
        ) from error
