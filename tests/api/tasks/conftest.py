from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.api.tasks.client import Client, signed_up
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "0123456789abcdef" * 4


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Tokens are needed, anybody may sign up; steps of 20 ms."""
    folder = tmp_path_factory.mktemp("guarded-server")
    with Server(
        folder,
        enable_signup=1,
        secret_key=KEY,
        login_attempts=1000,
        fake_step_seconds=0.02,
        log_level="debug",
    ) as server:
        yield server


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Tokens are given to anybody, and none is needed."""
    folder = tmp_path_factory.mktemp("open-server")
    with Server(folder, enable_public_access=1, secret_key=KEY, fake_step_seconds=0.02) as server:
        yield server


@pytest.fixture(scope="session")
def bob(guarded_server: Server) -> Client:
    return signed_up(guarded_server, f"bob-{uuid.uuid4()}")


@pytest.fixture(scope="session")
def ann(guarded_server: Server) -> Client:
    return signed_up(guarded_server, f"ann-{uuid.uuid4()}")


@pytest.fixture
def public(open_server: Server) -> Client:
    """With a token of `all`: a new one, unless it is made within the same second."""
    answer = Client(open_server).ask("POST", "/token/all")
    return Client(open_server, answer.json()["access_token"])


@pytest.fixture(params=["with a user's token", "with a public token", "without a token"])
def anyone(request: pytest.FixtureRequest) -> Client:
    if request.param == "with a user's token":
        found: Client = request.getfixturevalue("bob")
    elif request.param == "with a public token":
        found = request.getfixturevalue("public")
    else:
        found = Client(request.getfixturevalue("open_server"))
    return found
