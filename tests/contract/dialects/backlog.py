from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Self

import httpx2 as httpx

from diffusionapi.auth.clients import Clients
from diffusionapi.settings import Settings
from tests.api.backlog.receiver import Receiver
from tests.contract.dialect import Dialect, Refused, Served, State, Told, Unknown
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRIVATE = "/api/v1/private/client"
_CANCELLED = "The request was cancelled"
_PERCENT: dict[State, float] = {"waiting": 0, "working": 50, "done": 100, "failed": 50, "cancelled": 50}
_MOST_STEPS = 200
_ACKNOWLEDGED, _STARTED, _PICTURE, _STOPPED = 1, 2, 4, 5


class Client(Dialect):
    settings: ClassVar[dict[str, object]] = {"allow_private_urls": 1}
    names: ClassVar[dict[str, str]] = {"prompt": "word"}

    def __init__(self, server: Served) -> None:
        super().__init__(server)
        clients = Clients(Settings(data_dir=server.data_dir, job_store=server.job_store))
        made, secret = clients.make(f"contract-{uuid.uuid4()}")
        clients.close()
        body = {"token": made.token, "secret": secret}
        answer = httpx.post(server.url + "/api/v1/public/client/login", json=body, timeout=30)
        self.token = answer.json()["data"]["authToken"]

    def submit(self, **asked: object) -> str:
        body = {"width": 64, "height": 64} | {self.name(field): value for field, value in asked.items()}
        if isinstance(steps := asked.get("steps"), int):
            body["steps"] = min(steps, _MOST_STEPS)  # the stories' long jobs are as long as they may be
        answer = self._ask("POST", f"{_PRIVATE}/ai/diffusion", json=body)
        if answer.status_code != 201:
            raise Refused(answer.status_code, answer.json()["statusText"])
        return str(answer.json()["data"]["uid"])

    def look(self, job: str) -> Told:
        return _told(self._known("GET", job))

    def watch(self, **asked: object) -> list[Told]:
        """By a server of the client's own that is called back."""
        with Receiver() as receiver:
            self._notify(domain=receiver.url, uriNotify="/notify")
            try:
                self.submit(**asked)
            finally:
                self._notify(uriNotify="")
            wait_until(lambda: _STOPPED in receiver.stages, 30, self.server.log)
            return list(_heard(receiver.told))

    def cancel(self, job: str) -> None:
        self._known("DELETE", job)

    def intruder(self) -> Self:
        found = type(self)(self.server)
        found.token = "none"  # noqa: S105 - that it is no token is the point
        return found

    def stranger(self) -> Self:
        return type(self)(self.server)

    def _known(self, method: str, job: str) -> dict[str, Any]:
        answer = self._ask(method, f"{_PRIVATE}/request/{job}")
        if answer.status_code == 400:
            raise Refused(400, answer.json()["statusText"])
        if answer.status_code in (403, 404):  # which of the two is documented for others' requests
            raise Unknown(answer.text)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found

    def _notify(self, **settings: str) -> None:
        assert self._ask("PATCH", f"{_PRIVATE}/notify", json=settings).status_code == 200

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, self.server.url + path, headers=headers, timeout=30, **options)


def _told(record: dict[str, Any]) -> Told:
    reason, picture = record.get("error", ""), b""
    state: State
    if record["ended_at"] is None:
        state = "waiting" if record["started_at"] is None else "working"
    elif record["response"]:
        state, picture = "done", httpx.get(record["response"][0]["filename"], timeout=30).content
    else:
        state = "cancelled" if reason == _CANCELLED else "failed"
    return Told(state, _PERCENT[state], picture, reason)


def _heard(calls: list[dict[str, Any]]) -> Iterator[Told]:
    for one in calls:
        if one["stage"] == _ACKNOWLEDGED:
            yield Told("waiting", 0)
        elif one["stage"] == _STARTED:
            yield Told("working", 50)
        elif one["stage"] == _PICTURE:
            yield Told("done", 100, httpx.get(one["filename"], timeout=30).content)
