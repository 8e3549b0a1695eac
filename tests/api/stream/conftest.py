from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.stream.client import KEY, Client
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stream_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Steps of 20 ms; whoever comes while the engine works, or while it starts, waits."""
    folder = tmp_path_factory.mktemp("stream-server")
    with Server(folder, api_keys=f"tests:{KEY}", stream_max_wait=30, fake_step_seconds=0.02) as server:
        yield server


@pytest.fixture
def stream(stream_server: Server) -> Client:
    return Client(stream_server)
