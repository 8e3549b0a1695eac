"""A workshop with models that are small enough to learn, and pictures for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.engine.workshop import Workshop
    from diffusionapi.settings import Settings


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    from tests.engine.rendering import make_house
    from tests.engine.training.lessons import UNETS, make

    root = tmp_path_factory.mktemp("school")
    return make_house(root, {name: make(name, root / "made" / name) for name in UNETS})


@pytest.fixture(scope="module")
def workshop(school: Settings) -> Iterator[Workshop]:
    from diffusionapi.engine.workshop import Workshop

    workshop = Workshop(school)
    yield workshop
    workshop.close()


@pytest.fixture(scope="module")
def pictures(school: Settings) -> tuple[str, ...]:
    from tests.engine.rendering import a_photo, upload

    return tuple(upload(school, a_photo(64, 64, seed)) for seed in range(3))
