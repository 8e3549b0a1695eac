"""Stores of several processes on one Redis, and a look at what Redis was asked."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from diffusionapi.jobs.redis.store import RedisJobStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.redis_server import RedisServer


@pytest.fixture
def opened(redis_server: RedisServer) -> Iterator[Callable[[], RedisJobStore]]:
    """Opens stores on one empty Redis, as processes on several machines would."""
    stores: list[RedisJobStore] = []

    def open_one() -> RedisJobStore:
        store = RedisJobStore(redis_server.url)
        stores.append(store)
        store.wait(5, since=0)  # its first pulse, which ends when it hears others
        return store

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Any]:
    """Redis itself."""
    with closing(Redis.from_url(redis_server.url)) as client:
        yield client
