from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.contract.dialect import Dialect, Refused, State, Told, Unknown
from tests.server import WEB

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2 as httpx

_STATES: dict[str, State] = {
    "queued": "waiting",
    "processing": "working",
    "done": "done",
    "error": "failed",
    # of events
    "started": "working",
    "phase": "working",
    "step": "working",
    "finished": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}


class Client(Dialect):
    open_to_all = "the primary API has no accounts"

    def submit(self, **asked: object) -> str:
        answer = self._ask("POST", "/txt2img", json={"width": 64, "height": 64, "fileType": "png"} | asked)
        if answer.status_code != 200:
            raise Refused(answer.status_code, answer.json()["error"])
        return str(answer.json()["job_id"])

    def look(self, job: str) -> Told:
        found = self._known("GET", f"/queue/{job}")
        cancelled = found["current_phase"] == "cancelled"
        return Told(
            "cancelled" if cancelled else _STATES[found["state"]],
            found["progress"],
            base64.b64decode(found.get("image", "")),
            found["error"] or "",
        )

    def watch(self, **asked: object) -> list[Told]:
        job = self.submit(**asked)
        with WEB.stream("GET", f"{self.server.url}/queue/{job}/events", timeout=30) as feed:
            return list(_events(feed.iter_lines()))

    def cancel(self, job: str) -> None:
        self._known("DELETE", f"/queue/{job}")

    def _known(self, method: str, path: str) -> dict[str, Any]:
        answer = self._ask(method, path)
        if answer.status_code == 404:
            raise Unknown(answer.json()["error"])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return WEB.request(method, self.server.url + path, timeout=30, **options)


def _events(lines: Iterator[str]) -> Iterator[Told]:
    name, percent = "", 0.0
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))
            percent = 100.0 if name == "finished" else data.get("progress", percent)
            picture = WEB.get(data["image_url"]).content if name == "finished" else b""
            yield Told(_STATES[name], percent, picture, data.get("error", ""))
