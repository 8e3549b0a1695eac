"""A real server on the models that come with the project: what pictures show can be asserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.picturebook.studio import Studio
from tests.server import PROJECT, Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """With the settings of a new user, but for where its own files lie."""
    root = tmp_path_factory.mktemp("studio")
    (root / "stable_diffusion").symlink_to(PROJECT / "stable_diffusion")
    with Server(root, device="cpu") as server:
        yield Studio(server)
