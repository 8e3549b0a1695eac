from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from diffusionapi.main import create_app
from tests.api.v3.house import House, furnish, v3_settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server that works and is furnished."""
    folder = tmp_path_factory.mktemp("v3")
    furnish(folder)
    with TestClient(create_app(v3_settings(folder))) as client:
        yield House(client)


@pytest.fixture(scope="session")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The same with nobody to work, and no wait for the pictures."""
    folder = tmp_path_factory.mktemp("v3-idle")
    furnish(folder)
    settings = v3_settings(folder, workers=0, v3_wait=0.0, queue_limit=100_000)
    with TestClient(create_app(settings)) as client:
        yield House(client)
