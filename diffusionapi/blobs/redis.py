"""A shelf in Redis, for small deployments: everything on it is in memory, and goes after its time.

The times by which names are found, and all ages, are Redis's own. A file and its line in the list of ages are
written in one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.blobs.shelf import Shelf
from diffusionapi.errors import Misconfigured
from diffusionapi.jobs.redis.connect import Connection
from diffusionapi.jobs.redis.names import key

if TYPE_CHECKING:
    from diffusionapi.settings import Settings

_CHECKED = 60
"""Seconds the file stays that a check leaves."""

_PRELUDE = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local ages = KEYS[1] .. ':' .. ARGV[1]
local name = ARGV[2]
local file = ages .. ':' .. name
"""
_WRITE = (
    _PRELUDE
    + """
redis.call('SET', file, ARGV[3], 'EX', ARGV[4])
redis.call('ZADD', ages, now, name)
redis.call('ZREMRANGEBYSCORE', ages, '-inf', now - ARGV[4] - 1)
return 1
"""
)
"""Arguments of all: folder and name. Here: content, seconds. Names of files that have gone go, too."""
_TOUCH = (
    _PRELUDE
    + """
if redis.call('EXPIRE', file, ARGV[3]) == 0 then return 0 end
redis.call('ZADD', ages, now, name)
return 1
"""
)
_REMOVE = (
    _PRELUDE
    + """
redis.call('ZREM', ages, name)
return redis.call('UNLINK', file)
"""
)
_REMOVE_AGED = (
    _PRELUDE
    + """
local touched = redis.call('ZSCORE', ages, name)
if not touched or tonumber(touched) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZREM', ages, name)
return redis.call('UNLINK', file)
"""
)


def connected(settings: Settings) -> Connection:
    """A way to the Redis that keeps the jobs, apart from theirs. Its first call connects it."""
    if settings.redis_url is None:
        raise Misconfigured(
            "Setting BLOBS: 'redis:' keeps pictures beside the jobs, which are not in Redis; set JOB_STORE "
            "or REDIS_HOST, or use BLOBS=file:"
        )
    return Connection(settings.redis_url)


class RedisShelf(Shelf):
    """`folder` is the part of its names that this shelf takes; its files go after `seconds`."""

    def __init__(self, redis: Connection, folder: str, *, seconds: float) -> None:
        self._folder = folder
        self._seconds = max(1, round(seconds))
        self._redis = redis

    def write(self, name: str, content: bytes) -> None:
        self._redis.run(_WRITE, self._folder, name, content, self._seconds)

    def read(self, name: str) -> bytes | None:
        content: bytes | None = self._redis.call("GET", self._file(name))
        return content

    def beginning(self, name: str, length: int) -> bytes | None:
        content: bytes = self._redis.call("GETRANGE", self._file(name), 0, length - 1)
        return content or None

    def has(self, name: str) -> bool:
        return bool(self._redis.call("EXISTS", self._file(name)))

    def remove(self, name: str) -> None:
        self._redis.run(_REMOVE, self._folder, name)

    def touch(self, name: str) -> bool:
        return bool(self._redis.run(_TOUCH, self._folder, name, self._seconds))

    def aged(self, before: float) -> set[str]:
        names: list[bytes] = self._redis.call("ZRANGEBYSCORE", key(self._folder), "-inf", f"({before!r}")
        return {name.decode() for name in names}

    def remove_aged(self, name: str, before: float) -> bool:
        return bool(self._redis.run(_REMOVE_AGED, self._folder, name, repr(before)))

    def check(self) -> None:
        self._redis.call("SET", self._file(".probe"), b"probe", "EX", _CHECKED)

    def _file(self, name: str) -> str:
        return key(self._folder, name)
