"""The way in: the key, the path, the first message; row by row of the dialect's notes on connections."""

from __future__ import annotations

import json
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from starlette.websockets import WebSocketDisconnect
from websockets.sync.client import connect

from diffusionapi.main import create_app
from tests.api.stream.client import KEY, SMALL, Client, listen, say
from tests.browser import needed
from tests.server import PROJECT, Server

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings

REQUEST = json.dumps(SMALL)


def said_to(address: str, **options: Any) -> tuple[int, int]:
    with connect(address, **options) as socket:
        return say(socket, REQUEST).end


def test_a_key_in_the_header_lets_in(stream: Client) -> None:
    assert stream.ask().end == (1000, 200)


def test_the_word_bearer_may_be_written_in_any_case(stream: Client) -> None:
    assert said_to(stream.url, additional_headers={"Authorization": f"bearer  {KEY}"}) == (1000, 200)


def test_a_key_in_the_query_lets_in(stream: Client) -> None:
    assert said_to(f"{stream.url}?token={KEY}") == (1000, 200)


@pytest.mark.parametrize(("header", "query", "code"), [(KEY, "wrong", 1000), ("wrong", KEY, 3000)])
def test_the_header_goes_before_the_query(stream: Client, header: str, query: str, code: int) -> None:
    given = {"Authorization": f"Bearer {header}"}
    assert said_to(f"{stream.url}?token={query}", additional_headers=given)[0] == code


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": "Bearer sch\xf6n"},
    ],
)
def test_who_has_no_key_is_let_in_and_told_so(stream: Client, headers: dict[str, str]) -> None:
    # A handshake that is refused would be HTTP's 403, and the client would never see the code.
    assert said_to(stream.url, additional_headers=headers) == (3000, 403)


@pytest.mark.parametrize("query", ["?token=", "?token=wrong", "?key=" + KEY])
def test_nor_does_a_query_without_the_key_let_in(stream: Client, query: str) -> None:
    assert said_to(stream.url + query) == (3000, 403)


def test_the_key_is_looked_at_before_anything_is_read(stream: Client) -> None:
    with Client(stream.server, "wrong").connection() as socket:
        assert listen(socket).end == (3000, 403)  # without a message


def test_one_request_makes_one_picture_and_whatever_else_is_said_is_ignored(stream: Client) -> None:
    story = stream.say(REQUEST, REQUEST, "nonsense", b"\0" * 1000)
    assert (story.end, story.steps) == ((1000, 200), [1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    "path", ["/", "/generate/", "/generate/x", "/x", "/txt2img", "/queue/1/events", "/%00"]
)
def test_other_paths_are_closed_with_a_code_of_their_own(stream: Client, path: str) -> None:
    assert said_to(Client(stream.server, path=path).url) == (3003, 404)


def test_the_sockets_of_other_dialects_are_not_in_the_way(stream: Client) -> None:
    server = Client(stream.server, path="/events?token=x")
    assert httpx.get(server.server.url + "/events").status_code == 404
    with pytest.raises(Exception, match="HTTP 403"), connect(server.url):  # as that dialect has it
        pass


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_plain_http_is_told_to_upgrade(stream: Client, method: str) -> None:
    answer = httpx.request(method, stream.server.url + "/generate")
    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"
    if method != "HEAD":
        assert answer.json()["code"] == 426


@pytest.fixture
def door(settings: Settings) -> TestClient:
    return TestClient(
        create_app(settings.model_copy(update={"api_keys": SecretStr(KEY), "stream_max_wait": 30}))
    )


def test_who_says_nothing_is_let_go_after_a_while(door: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusionapi.api.stream.socket._FIRST_MESSAGE", 0.05)
    with door, door.websocket_connect("/generate?token=" + KEY) as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == 3008
        assert json.loads(str(closed.value.reason))["code"] == 408


def test_jobs_in_memory_are_shown_in_the_same_way(door: TestClient) -> None:
    frames = []
    with door, door.websocket_connect("/generate?token=" + KEY) as socket:
        socket.send_text(REQUEST)
        with pytest.raises(WebSocketDisconnect) as closed:
            while True:
                frames.append(socket.receive_json())
    assert closed.value.code == 1000
    assert [one["step"] for one in frames][-1] == 5
    assert frames[-1]["completed"]


def test_who_connects_and_leaves_leaves_nothing(stream: Client, stream_server: Server) -> None:
    before = len(stream_server.log())
    for _ in range(3):
        with stream.connection():
            pass
    assert stream.ask().end == (1000, 200)
    assert "Traceback" not in stream_server.log()[before:]


def test_a_key_is_in_no_line_of_the_log(stream: Client, stream_server: Server) -> None:
    said_to(f"{stream.url}?token={KEY}")
    assert KEY not in stream_server.log()
    assert "/generate?token=***" in stream_server.log()


def test_the_socket_is_there_over_tls_too(tmp_path: Path) -> None:
    needed("openssl")
    subprocess.run([PROJECT / "generate_ssl_certs.sh", "--out", tmp_path], check=True, capture_output=True)
    tls = ["--ssl-keyfile", str(tmp_path / "key.pem"), "--ssl-certfile", str(tmp_path / "cert.pem")]
    server = Server(tmp_path, uvicorn=tls, api_keys=KEY, stream_max_wait=30, fake_step_seconds=0.01)
    server.scheme = "https"
    trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    trusting.check_hostname = False
    with server:
        client = Client(server)
        assert client.url.startswith("wss://")
        assert client.say(REQUEST, ssl=trusting).steps == [1, 2, 3, 4, 5]
