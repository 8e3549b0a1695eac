from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.api.backlog.client import Client, a_client
from tests.api.backlog.receiver import Receiver
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def backlog_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Calls servers on this machine; steps of 20 ms."""
    folder = tmp_path_factory.mktemp("backlog-server")
    with Server(folder, fake_step_seconds=0.02, allow_private_urls=1, log_level="debug") as server:
        yield server


@pytest.fixture(scope="session")
def bob(backlog_server: Server) -> Client:
    return a_client(backlog_server, f"bob-{uuid.uuid4()}")


@pytest.fixture(scope="session")
def ann(backlog_server: Server) -> Client:
    return a_client(backlog_server, f"ann-{uuid.uuid4()}", "ann.example.com")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def called(backlog_server: Server, receiver: Receiver) -> Client:
    """A client whose server is the receiver."""
    client = a_client(backlog_server, f"called-{uuid.uuid4()}")
    client.notify(domain=receiver.url, uriNotify="/notify", uriUpload="/upload")
    return client
