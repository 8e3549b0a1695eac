from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.memory import MemoryJobStore
from tests.worker.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["memory", "file"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    house = House(
        tmp_path, MemoryJobStore() if request.param == "memory" else FileJobStore(tmp_path / "queue")
    )
    yield house
    house.stop()


@pytest.fixture
def ruins(tmp_path: Path) -> Iterator[House]:
    """For what a worker finds of one that vanished: only files outlive their holder."""
    house = House(tmp_path, FileJobStore(tmp_path / "queue"))
    yield house
    house.stop()
