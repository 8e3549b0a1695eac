"""A client of the task API as people write them: tokens, tasks, the socket of events."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from PIL import Image
from websockets.sync.client import connect

from tests.server import WEB, Server, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2 as httpx
    from websockets.sync.client import ClientConnection

Json = dict[str, Any]
ENDS = ("finished", "aborted")


def a_png(width: int = 64, height: int = 64, colour: str = "steelblue") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Socket:
    """The socket of events; frames are read as the original's clients read them."""

    connection: ClientConnection
    doubly: bool

    def next(self, timeout: float = 20) -> Json:
        found = json.loads(self.connection.recv(timeout=timeout))
        event: Json = json.loads(found) if self.doubly else found
        return event

    def life(self, task: str) -> list[Json]:
        """The events of a task, to its end; those of others on the way are let pass."""
        told: list[Json] = []
        while not told or told[-1]["event_type"] not in ENDS:
            event = self.next()
            if event["task_id"] == task:
                told.append(event)
        return told

    def silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing more is said for a while."""
        try:
            self.connection.recv(timeout=seconds)
        except TimeoutError:
            return True
        return False


@dataclass(frozen=True)
class Client:
    server: Server
    token: str | None = None
    port: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}" if self.port else self.server.url

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = self.headers | options.pop("headers", {})
        return WEB.request(method, self.url + path, headers=headers, timeout=60, **options)

    def get(self, path: str, **params: object) -> httpx.Response:
        return self.ask("GET", path, params=params)

    def submit(self, **params: object) -> str:
        answer = self.ask("POST", "/task", json={"prompt": "corgi", "width": 64, "height": 64} | params)
        return self._text(answer)

    def submit_only(self, **params: object) -> str:
        """Without a size, as for tasks that begin from a picture."""
        return self._text(self.ask("POST", "/task", json={"prompt": "corgi"} | params))

    def event(self, task: str) -> Json:
        answer = self.get(f"/task/{task}")
        assert answer.status_code == 200, answer.text
        event: Json = answer.json()
        return event

    def end(self, task: str) -> Json:
        found: Json = {}

        def ended() -> bool:
            found.clear()
            found.update(self.event(task))
            return found["event_type"] in ENDS

        wait_until(ended, 60, self.server.log)
        return found

    def wait_for(self, task: str, event_type: str) -> None:
        wait_until(lambda: self.event(task)["event_type"] == event_type, 30, self.server.log)

    def upload(self, content: bytes) -> str:
        return self._text(self.ask("POST", "/blob", files={"blob_data": ("a.png", content)}))

    @contextmanager
    def socket(self, query: str = "") -> Iterator[Socket]:
        address = f"{self.url.replace('http', 'ws')}/events?token={self.token}{query}"
        with connect(address) as connection:
            yield Socket(connection, doubly="encoding=object" not in query)

    @staticmethod
    def _text(answer: httpx.Response) -> str:
        assert answer.status_code == 200, answer.text
        text = answer.json()
        assert isinstance(text, str)
        return text


def path_of(url: str) -> str:
    return urlsplit(url).path


def signed_up(server: Server, name: str) -> Client:
    """A new user's client."""
    anybody = Client(server)
    fields = {"username": name, "password": f"password of {name}"}
    assert anybody.ask("POST", "/user", json=fields).status_code == 200
    return logged_in(server, name)


def logged_in(server: Server, name: str) -> Client:
    fields = {"username": name, "password": f"password of {name}"}
    answer = Client(server).ask("POST", "/token", data=fields)
    assert answer.status_code == 200, answer.text
    return Client(server, answer.json()["access_token"])
