"""Miniature models on disk, made once per session. Tests that change a model make or copy their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def sd1_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_sd1(tmp_path_factory.mktemp("models") / "mini-sd1")


@pytest.fixture(scope="session")
def sd2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_sd2(tmp_path_factory.mktemp("models") / "mini-sd2")


@pytest.fixture(scope="session")
def sd2_v_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_sd2(tmp_path_factory.mktemp("models") / "mini-sd2-v", v=True)


@pytest.fixture(scope="session")
def sdxl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_sdxl(tmp_path_factory.mktemp("models") / "mini-sdxl")


@pytest.fixture(scope="session")
def refiner_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import miniatures

    return miniatures.make_refiner(tmp_path_factory.mktemp("models") / "mini-refiner")
