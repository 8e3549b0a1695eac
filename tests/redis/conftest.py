from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.redis.house import House
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One a file, so that workers of one file's house never take the jobs of another's.

    It keeps what it was told: every word is on its disk before it answers.
    """
    with RedisServer(tmp_path_factory.mktemp("redis"), appendonly=True, fsync="always") as server:
        yield server


KEY = "a-key-of-these-tests"
STEP = 0.02
"""Seconds that a step takes there."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[House]:
    """Two servers that speak all dialects and let anybody in, and three workers, left as they were found."""
    opened = {"enable_public_access": 1, "backlog_demo": 1, "v3_wait": 0, "api_keys": f"tests:{KEY}"}
    folder = tmp_path_factory.mktemp("house")
    with House(folder, redis_server, workers=3, fake_step_seconds=STEP, **opened) as house:
        yield house
