from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.memory import MemoryJobStore
from tests.worker.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.jobs.store import JobStore
    from tests.redis_server import RedisServer


def opened(kind: str, request: pytest.FixtureRequest, folder: Path) -> JobStore:
    """A store of a kind, with nothing in it."""
    match kind:
        case "memory":
            return MemoryJobStore()
        case "file":
            return FileJobStore(folder / "queue")
        case _:
            server: RedisServer = request.getfixturevalue("redis_server")
            from diffusionapi.jobs.redis.store import RedisJobStore

            return RedisJobStore(server.url)


@pytest.fixture(params=["memory", "file", "redis"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, opened(request.param, request, tmp_path))
    yield house
    house.stop()


@pytest.fixture(params=["file", "redis"])
def ruins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """For what a worker finds of one that vanished: in memory nothing outlives its holder."""
    house = House(tmp_path, opened(request.param, request, tmp_path))
    yield house
    house.stop()


@pytest.fixture
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On a store that many machines share."""
    house = House(tmp_path, opened("redis", request, tmp_path))
    yield house
    house.stop()
