"""A store in an empty Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.redis_server import RedisServer, require_redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.jobs.redis.store import RedisJobStore


@pytest.fixture
def redis_store(request: pytest.FixtureRequest) -> Iterator[RedisJobStore]:
    require_redis_server()
    from diffusionapi.jobs.redis.store import RedisJobStore

    server: RedisServer = request.getfixturevalue("redis_server")
    store = RedisJobStore(server.url)
    yield store
    store.close()
