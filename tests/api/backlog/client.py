"""A client of the backlog API as people write them: log in, add, poll."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
from PIL import Image

from diffusionapi.auth.clients import Clients
from diffusionapi.settings import Settings
from tests.server import Server, wait_until

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
PRIVATE = "/api/v1/private/client"
PUBLIC = "/api/v1/public"
NO_TOKEN = "A client token is required"  # noqa: S105 - a sentence


@dataclass(frozen=True)
class Client:
    """`bearer` is what it sends, an authToken or its token."""

    server: Server
    token: str
    secret: str
    bearer: str = ""

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        headers |= options.pop("headers", {})
        return httpx.request(method, self.server.url + path, headers=headers, timeout=60, **options)

    def login(self) -> Client:
        body = {"token": self.token, "secret": self.secret}
        answer = self.ask("POST", f"{PUBLIC}/client/login", json=body)
        assert answer.status_code == 201, answer.text
        return replace(self, bearer=answer.json()["data"]["authToken"])

    def add(self, **asked: object) -> int:
        answer = self.try_to_add(**asked)
        assert answer.status_code == 201, answer.text
        uid: int = answer.json()["data"]["uid"]
        return uid

    def try_to_add(self, **asked: object) -> httpx.Response:
        body = {"word": "gold coin", "width": 64, "height": 64, "steps": 3} | asked
        return self.ask("POST", f"{PRIVATE}/ai/diffusion", json=body)

    def refusal(self, **asked: object) -> str:
        """The sentence with which a request is refused."""
        answer = self.try_to_add(**asked)
        assert_refused(answer, 400)
        return str(answer.json()["statusText"])

    def record(self, uid: int) -> Json:
        answer = self.ask("GET", f"{PRIVATE}/request/{uid}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()["data"]
        return found

    def end(self, uid: int, timeout: float = 60) -> Json:
        found: Json = {}

        def ended() -> bool:
            found.clear()
            found.update(self.record(uid))
            return found["ended_at"] is not None

        wait_until(ended, timeout, self.server.log)
        return found

    def picture(self, record: Json, cycle: int = 0) -> Image.Image:
        return opened(httpx.get(record["response"][cycle]["filename"], timeout=30).content)

    def notify(self, **settings: object) -> Json:
        answer = self.ask("PATCH", f"{PRIVATE}/notify", json=settings)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()["data"]
        return found


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def assert_refused(answer: httpx.Response, status: int, sentence: str = "") -> None:
    """Every failure has the same four fields."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["data", "status", "statusText", "message"]
    assert (body["data"], body["status"]) == (None, status)
    assert body["message"] == body["statusText"]
    if sentence:
        assert body["statusText"] == sentence


def clients_in(data_dir: Path) -> Clients:
    return Clients(Settings(data_dir=data_dir))


def a_client(server: Server, name: str, domain: str = "") -> Client:
    """A new client that has logged in."""
    clients = clients_in(server.data_dir)
    client, secret = clients.make(name, domain)
    clients.close()
    return Client(server, client.token, secret).login()
