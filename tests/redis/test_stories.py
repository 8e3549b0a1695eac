"""What every dialect does alike, told to two servers in turn, with three workers elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.conftest import CLIENTS
from tests.contract.test_stories import *  # noqa: F403 - all of them, with the fixtures of this file
from tests.redis.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.dialect import Dialect
    from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[House]:
    settings: dict[str, Any] = {"fake_step_seconds": 0.01}
    for client in CLIENTS.values():
        settings |= client.settings
    with House(tmp_path_factory.mktemp("house"), redis_server, workers=3, **settings) as house:
        yield house


@pytest.fixture(scope="module", params=sorted(CLIENTS))
def dialect(request: pytest.FixtureRequest, shared: House) -> Dialect:
    return CLIENTS[request.param](shared)


def test_each_worker_had_a_part_in_all_this_and_nothing_escaped(shared: House) -> None:
    for worker in shared.workers:
        assert worker.finished, worker.log()
    assert "Traceback" not in shared.log()
