"""When the jobs cannot be reached every dialect says so in its words, and when to come again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from diffusionapi.errors import StorageFull, StorageUnavailable
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.main import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2 as httpx
    from starlette.types import Receive, Scope, Send

    from diffusionapi.settings import Settings

SENTENCE = "The queue cannot be reached now"
KEY = "a-key-of-these-tests"


@pytest.fixture
def speaker(settings: Settings) -> Iterator[TestClient]:
    """Speaks all dialects, and has nobody to work."""
    opened: dict[str, object] = {
        "workers": 0,
        "enable_public_access": True,
        "backlog_demo": True,
        "v3_wait": 0,
    }
    given = _with_key(settings, opened)
    with TestClient(create_app(given)) as client:
        yield client


def _with_key(settings: Settings, update: dict[str, object]) -> Settings:
    return type(settings)(**(settings.model_dump() | update | {"api_keys": f"tests:{KEY}"}))


@contextmanager
def away(error: type[StorageUnavailable] = StorageUnavailable) -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise error(SENTENCE)

    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "submit",
            "submit_all",
            "progress",
            "ticket",
            "epitaph",
            "position",
            "listing",
            "cancel",
            "accepted",
        ):
            patch.setattr(MemoryJobStore, name, refuse)
        yield


def backlog_headers(client: TestClient) -> dict[str, str]:
    answer = client.post("/api/v1/public/client/demo")
    return {"Authorization": f"Bearer {answer.json()['data']['authToken']}"}


def check(answer: httpx.Response, status: int = 503) -> None:
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "2"), answer.text
    assert SENTENCE in answer.text


def test_of_the_primary_api(speaker: TestClient) -> None:
    job = speaker.post("/txt2img", json={"prompt": "x"}).json()["job_id"]
    with away():
        check(speaker.post("/txt2img", json={"prompt": "x"}))
        check(speaker.get(f"/queue/{job}"))
        check(speaker.get(f"/queue/{job}?wait=5"))
        check(speaker.get(f"/queue/{job}/events"))
        check(speaker.delete(f"/queue/{job}"))
        check(speaker.get("/queue"))
    assert speaker.get(f"/queue/{job}").json()["state"] == "queued"


def test_of_the_task_api(speaker: TestClient) -> None:
    task = speaker.post("/task", json={"prompt": "x"}).json()
    with away():
        check(speaker.post("/task", json={"prompt": "x"}))
        check(speaker.get(f"/task/{task}"))
        check(speaker.delete(f"/task/{task}"))
        check(speaker.get("/txt2img?prompt=x"))


def test_of_the_socket_of_tasks(speaker: TestClient) -> None:
    """Not by the 403 of a wrong token, which would have a client throw its own away."""
    path = f"/events?token={speaker.post('/token/all').json()['access_token']}"
    with away():
        with pytest.raises(WebSocketDenialResponse) as refused, speaker.websocket_connect(path):
            pass
        check(refused.value)
        with pytest.raises(WebSocketDisconnect) as wrong, speaker.websocket_connect("/events?token=x"):
            pass
        assert wrong.value.code == 1008
    with speaker.websocket_connect(path) as socket:
        speaker.post(path.replace("/events", "/task"), json={"prompt": "x"})
        assert "pending" in socket.receive_text()


def test_of_the_socket_of_tasks_on_a_server_that_knows_one_refusal_only(speaker: TestClient) -> None:
    path = f"/events?token={speaker.post('/token/all').json()['access_token']}"

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        await speaker.app({**scope, "extensions": {}}, receive, send)

    with away(), TestClient(plain).websocket_connect(path) as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert (closed.value.code, closed.value.reason) == (1013, SENTENCE)


def test_of_the_backlog_api(speaker: TestClient) -> None:
    headers, path = backlog_headers(speaker), "/api/v1/private/client"
    body = {"word": "x"}
    added = speaker.post(f"{path}/ai/diffusion", json=body, headers=headers).json()["data"]["uid"]
    with away():
        check(speaker.post(f"{path}/ai/diffusion", json=body, headers=headers))
        check(speaker.get(f"{path}/request/{added}", headers=headers))
        check(speaker.delete(f"{path}/request/{added}", headers=headers))


def test_of_the_v3_api_whose_status_is_in_the_body(speaker: TestClient) -> None:
    body = {"key": KEY, "prompt": "x", "width": 64, "height": 64, "enhance_prompt": "no"}
    known = speaker.post("/api/v3/text2img", json=body).json()["id"]
    with away():
        for answer in (
            speaker.post("/api/v3/text2img", json=body),
            speaker.post(f"/api/v3/fetch/{known}", json={"key": KEY}),
        ):
            check(answer, 200)
            assert answer.json()["status"] == "failed"


def test_of_the_streaming_api(speaker: TestClient) -> None:
    with away(), speaker.websocket_connect("/generate", headers={"Authorization": f"Bearer {KEY}"}) as socket:
        socket.send_json({"prompt": "x"})
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1013
        assert SENTENCE in closed.value.reason


def test_nobody_knows_when_a_full_disk_has_room_again(speaker: TestClient) -> None:
    with away(StorageFull):
        answer = speaker.post("/txt2img", json={"prompt": "x"})
    assert answer.status_code == 507
    assert "Retry-After" not in answer.headers


def test_requests_that_are_refused_are_told_once(
    speaker: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with away():
        for _ in range(5):
            check(speaker.get("/queue"))
            check(speaker.get("/txt2img?prompt=x"))
    told = [one for one in caplog.records if one.levelname == "ERROR" and SENTENCE in one.getMessage()]
    assert len(told) == 1


def test_a_socket_whose_job_is_lost_is_closed_without_a_trace(
    speaker: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(MemoryJobStore, "position", MemoryJobStore.forget)
    monkeypatch.setattr(MemoryJobStore, "epitaph", lambda *_: None)
    with speaker.websocket_connect("/generate", headers={"Authorization": f"Bearer {KEY}"}) as socket:
        socket.send_json({"prompt": "x"})
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1011
    assert not any(one.exc_info for one in caplog.records)
