"""Settings of a server on one machine, and of one of many on a real Redis, for tests that hold for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from diffusionapi.settings import Settings
    from tests.redis_server import RedisServer


__all__ = ["of_one_machine", "settings"]

of_one_machine = pytest.mark.parametrize("settings", ["files"], indirect=True)
"""For a test that is about files."""


@pytest.fixture(params=["files", "redis"])
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Of a server on one machine, and of one of many."""
    if request.param == "files":
        return settings
    server: RedisServer = request.getfixturevalue("redis_server")
    return settings.model_copy(update={"job_store": server.url})
