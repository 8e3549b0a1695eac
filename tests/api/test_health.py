from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fastapi.testclient import TestClient

from diffusionapi.blobs.folder import FolderShelf
from diffusionapi.errors import StorageUnavailable
from diffusionapi.main import create_app
from tests.server import wait_until

if TYPE_CHECKING:
    import pytest

    from diffusionapi.settings import Settings


def test_a_server_in_order_is_alive_and_ready(client: TestClient) -> None:
    assert client.get("/livez").json() == {"ok": True}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "problems": {}})


def test_too_little_disk_is_said(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"min_free_mb": 10**12}))) as client:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "MIN_FREE_MB" in answer.json()["problems"]["disk"]
        assert client.get("/livez").status_code == 200


def test_a_worker_that_is_gone_is_said(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusionapi.worker.worker.Worker.is_alive", lambda _: False)
    assert client.get("/readyz").json()["problems"] == {"workers": "a worker is not running"}


def test_an_engine_that_never_starts_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusionapi.worker.pool.BUILD", "diffusionapi.engine.build:no_such_function")
    with TestClient(create_app(settings)) as client:
        wait_until(lambda: client.get("/readyz").status_code == 503, 20)
        said = client.get("/readyz").json()["problems"]["workers"]
        assert said.startswith("the engine does not start: AttributeError")
        assert client.get("/livez").status_code == 200


def test_places_that_are_away_are_waited_for_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Barrier(2)

    def away(_: object) -> None:
        asked.wait(5)  # for the other place
        raise StorageUnavailable("away")

    monkeypatch.setattr(FolderShelf, "check", away)
    assert client.get("/readyz").json()["problems"] == {"outputs": "away", "uploads": "away"}


def test_pictures_that_cannot_be_kept_are_said(client: TestClient, settings: Settings) -> None:
    for part, folder in (("outputs", settings.outputs_dir), ("uploads", settings.uploads_dir)):
        settings.path(folder).rmdir()
        assert part in client.get("/readyz").json()["problems"]


def test_the_root_leads_to_the_documentation(client: TestClient) -> None:
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
