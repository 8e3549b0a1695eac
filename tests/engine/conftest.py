"""The real engine over miniature models, which are loaded once for all tests; no test of it asks the hub."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.engine.denoiser import Call
    from diffusionapi.engine.running import DiffusionEngine
    from diffusionapi.engine.workshop import Workshop
    from diffusionapi.settings import Settings


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def house(
    tmp_path_factory: pytest.TempPathFactory, sd1_folder: Path, sdxl_folder: Path, refiner_folder: Path
) -> Settings:
    """Settings of a folder with three models; whoever installs more there makes a house of their own."""
    from tests.engine.rendering import make_house

    models = {"sd1": sd1_folder, "sdxl": sdxl_folder, "refiner": refiner_folder}
    return make_house(tmp_path_factory.mktemp("house"), models)


@pytest.fixture(scope="session")
def workshop(house: Settings) -> Iterator[Workshop]:
    """Keeps what it has loaded from test to test."""
    from diffusionapi.engine.workshop import Workshop

    class Lasting(Workshop):
        def close(self) -> None:
            """Not with the engine of one test."""

    workshop = Lasting(house)
    yield workshop
    Workshop.close(workshop)


@pytest.fixture
def engine(workshop: Workshop) -> Iterator[DiffusionEngine]:
    """A running set with nothing in it."""
    from diffusionapi.engine.running import DiffusionEngine

    with closing(DiffusionEngine(workshop, capacity=4)) as engine:
        yield engine


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[Call]]:
    """The calls of the network from now on, each with the questions that share it."""
    from diffusionapi.engine import denoiser

    seen: list[list[Call]] = []
    answer = denoiser.answer

    def watched(calls: Sequence[Call]) -> list[Tensor]:
        seen.append(list(calls))
        return answer(calls)

    monkeypatch.setattr(denoiser, "answer", watched)
    return seen
