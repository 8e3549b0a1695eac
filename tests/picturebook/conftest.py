"""A real server on the models that come with the project: what pictures show can be asserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.picturebook.studio import Studio, bundled
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """With the settings of a new user, and what a fresh clone has installed."""
    root = tmp_path_factory.mktemp("studio")
    bundled(root)
    with Server(root, device="cpu") as server:
        yield Studio(server)
