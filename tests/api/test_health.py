from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.testclient import TestClient

from diffusionapi.main import create_app

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


def test_pictures_that_cannot_be_kept_are_said(client: TestClient, settings: Settings) -> None:
    for part, folder in (("outputs", settings.outputs_dir), ("uploads", settings.uploads_dir)):
        settings.path(folder).rmdir()
        assert part in client.get("/readyz").json()["problems"]


def test_the_root_leads_to_the_documentation(client: TestClient) -> None:
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
