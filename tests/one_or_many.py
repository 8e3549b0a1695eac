"""Settings of a server on one machine, and of one of many on a real Redis, for tests that hold for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.settings import Settings


__all__ = ["_shared_redis", "of_one_machine", "redis_server", "settings"]

of_one_machine = pytest.mark.parametrize("settings", ["files"], indirect=True)
"""For a test that is about files."""


@pytest.fixture(scope="session")
def _shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(_shared_redis: RedisServer) -> RedisServer:
    _shared_redis.flush()
    return _shared_redis


@pytest.fixture(params=["files", "redis"])
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Of a server on one machine, and of one of many."""
    if request.param == "files":
        return settings
    server: RedisServer = request.getfixturevalue("redis_server")
    return settings.model_copy(update={"job_store": server.url})
