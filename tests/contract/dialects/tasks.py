from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, ClassVar, Self

import httpx2 as httpx
from websockets.sync.client import connect

from tests.contract.dialect import ENDS, Dialect, Refused, State, Told, Unknown

if TYPE_CHECKING:
    from tests.server import Server

_STATES: dict[str, State] = {
    "pending": "waiting",
    "started": "working",
    "finished": "done",
    "aborted": "failed",
}
_PERCENTS = {"pending": 0.0, "started": 50.0, "finished": 100.0, "aborted": 50.0}
_CANCELLED = "Task cancelled by user"
_NUMBERS = itertools.count()


class Client(Dialect):
    settings: ClassVar[dict[str, object]] = {"enable_signup": 1, "login_attempts": 1000}

    def __init__(self, server: Server, token: str | None = None) -> None:
        super().__init__(server)
        self.token = self._signed_up() if token is None else token

    def submit(self, **asked: object) -> str:
        # Of its samplers k-lms is the one that makes do with a single step.
        body = {"params_type": "txt2img", "width": 64, "height": 64, "scheduler": "k-lms"} | asked
        answer = self._ask("POST", "/task", json=body)
        if answer.status_code != 200:
            raise Refused(answer.status_code, answer.text)
        return str(answer.json())

    def look(self, job: str) -> Told:
        return _told(self._known("GET", f"/task/{job}").json())

    def watch(self, **asked: object) -> list[Told]:
        address = self.server.url.replace("http", "ws", 1)
        told: list[Told] = []
        with connect(f"{address}/events?token={self.token}") as socket:
            job = self.submit(**asked)
            while not told or told[-1].state not in ENDS:
                event = json.loads(json.loads(socket.recv(timeout=60)))
                if event["task_id"] == job:
                    told.append(_told(event))
        return told

    def cancel(self, job: str) -> None:
        self._known("DELETE", f"/task/{job}")

    def intruder(self) -> Self:
        said, _, _signature = self.token.rpartition(".")
        return type(self)(self.server, f"{said}.{'A' * 43}")

    def stranger(self) -> Self:
        return type(self)(self.server)

    def _signed_up(self) -> str:
        form = {"username": f"user{next(_NUMBERS)}", "password": "correct horse battery staple"}
        for path in ("/user", "/token"):
            answer = httpx.post(self.server.url + path, data=form, timeout=30)
            assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def _known(self, method: str, path: str) -> httpx.Response:
        answer = self._ask(method, path)
        if answer.status_code == 404:
            raise Unknown(answer.text)
        if answer.status_code >= 400:
            raise Refused(answer.status_code, answer.text)
        return answer

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, self.server.url + path, headers=headers, timeout=30, **options)


def _told(event: dict[str, Any]) -> Told:
    kind = event["event_type"]
    if kind == "finished":
        return Told("done", 100.0, httpx.get(event["result"]["blob_url"]).content)
    reason = event.get("reason", "")
    return Told("cancelled" if reason == _CANCELLED else _STATES[kind], _PERCENTS[kind], reason=reason)
