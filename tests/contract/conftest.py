from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract import dialects
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.dialect import Dialect


def _clients() -> dict[str, type[Dialect]]:
    found = {}
    for one in pkgutil.iter_modules(dialects.__path__):
        found[one.name] = importlib.import_module(f"{dialects.__name__}.{one.name}").Client
    return found


CLIENTS = _clients()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server that speaks all dialects."""
    settings: dict[str, Any] = {"fake_step_seconds": 0.01}
    for client in CLIENTS.values():
        settings |= client.settings
    with Server(tmp_path_factory.mktemp("contract"), **settings) as server:
        yield server


@pytest.fixture(scope="session", params=sorted(CLIENTS))
def dialect(request: pytest.FixtureRequest, shared: Server) -> Dialect:
    return CLIENTS[request.param](shared)
