"""A redis-server for the tests of stores, and a store in it that is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.redis_server import RedisServer, require_redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.jobs.redis.store import RedisJobStore


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_store(request: pytest.FixtureRequest) -> Iterator[RedisJobStore]:
    require_redis_server()
    from diffusionapi.jobs.redis.store import RedisJobStore

    server: RedisServer = request.getfixturevalue("redis_server")
    server.flush()
    store = RedisJobStore(server.url)
    yield store
    store.close()
