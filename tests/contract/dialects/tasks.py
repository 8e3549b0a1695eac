from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Self

from websockets.sync.client import connect

from tests.contract.dialect import ENDS, Dialect, Refused, Served, State, Told, Unknown
from tests.server import WEB

if TYPE_CHECKING:
    import httpx2 as httpx


_STATES: dict[str, State] = {
    "pending": "waiting",
    "started": "working",
    "finished": "done",
    "aborted": "failed",
}
_PERCENT: dict[State, float] = {"waiting": 0, "working": 50, "done": 100, "failed": 50, "cancelled": 50}


class Client(Dialect):
    settings: ClassVar[dict[str, object]] = {"enable_signup": 1, "login_attempts": 1000}

    def __init__(self, server: Served, user: str = "contract") -> None:
        super().__init__(server)
        fields = {"username": user, "password": f"password of {user}"}
        WEB.post(server.url + "/user", json=fields, timeout=30)  # there may be one from before
        answer = WEB.post(server.url + "/token", data=fields, timeout=30)
        self.token = answer.json()["access_token"]

    def submit(self, **asked: object) -> str:
        answer = self._ask("POST", "/task", json={"width": 64, "height": 64} | asked)
        if answer.status_code != 200:
            raise Refused(answer.status_code, str(answer.json()["detail"]))
        return str(answer.json())

    def look(self, job: str) -> Told:
        return self._told(self._known("GET", f"/task/{job}").json())

    def watch(self, **asked: object) -> list[Told]:
        address = f"{self.server.url.replace('http', 'ws', 1)}/events?token={self.token}"
        told: list[Told] = []
        with connect(address) as socket:
            job = self.submit(**asked)
            while not told or told[-1].state not in ENDS:
                event = json.loads(json.loads(socket.recv(timeout=30)))
                if event["task_id"] == job:
                    told.append(self._told(event))
        return told

    def cancel(self, job: str) -> None:
        self._known("DELETE", f"/task/{job}")

    def intruder(self) -> Self:
        found = type(self)(self.server)
        found.token = "none"  # noqa: S105 - that it is no token is the point
        return found

    def stranger(self) -> Self:
        return type(self)(self.server, "stranger")

    def _told(self, event: dict[str, Any]) -> Told:
        state, reason, picture = _STATES[event["event_type"]], event.get("reason", ""), b""
        if reason == "Task cancelled by user":
            state = "cancelled"
        if state == "done":
            picture = WEB.get(event["result"]["blob_url"], timeout=30).content
        return Told(state, _PERCENT[state], picture, reason)

    def _known(self, method: str, path: str) -> httpx.Response:
        answer = self._ask(method, path)
        if answer.status_code == 401:
            raise Refused(401, str(answer.json()["detail"]))
        if answer.status_code == 404:
            raise Unknown(str(answer.json()["detail"]))
        assert answer.status_code in (200, 204), answer.text
        return answer

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return WEB.request(method, self.server.url + path, headers=headers, timeout=30, **options)
