from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar, Self

from diffusionapi.auth.keys import Keys
from diffusionapi.settings import Settings
from tests.contract.dialect import ENDS, Dialect, Refused, Served, State, Told, Unknown
from tests.server import WEB, wait_until

_PERCENT: dict[State, float] = {"waiting": 0, "working": 50, "done": 100, "failed": 50, "cancelled": 50}
_MOST_STEPS = 51
_CANCELLED = "The request was cancelled"


class Client(Dialect):
    settings: ClassVar[dict[str, object]] = {"v3_wait": 0, "v3_repeats": 0, "v3_error_statuses": 1}
    names: ClassVar[dict[str, str]] = {"steps": "num_inference_steps", "model": "model_id"}

    def __init__(self, server: Served) -> None:
        super().__init__(server)
        keys = Keys(Settings(data_dir=server.data_dir, job_store=server.job_store))
        self.key = keys.make(f"contract-{uuid.uuid4()}")
        keys.close()

    def submit(self, **asked: object) -> str:
        body = {self.name(field): value for field, value in asked.items()}
        if isinstance(steps := asked.get("steps"), int):
            body["num_inference_steps"] = min(steps, _MOST_STEPS)  # the longest that there is
        path = "/api/v4/dreambooth" if "model" in asked else "/api/v3/text2img"
        answer = self._ask(path, width=64, height=64, enhance_prompt="no", **body)
        return str(answer["id"])

    def look(self, job: str) -> Told:
        """That a request waits and that it is worked on are the same to it."""
        return _told(self._ask(f"/api/v3/fetch/{job}"))

    def watch(self, **asked: object) -> list[Told]:
        """Nothing is told before the end, so its clients ask again and again."""
        job, told = self.submit(**asked), list[Told]()

        def ended() -> bool:
            told.append(self.look(job))
            return told[-1].state in ENDS

        wait_until(ended, 30, self.server.log)
        return told

    def cancel(self, job: str) -> None:
        self._ask("/api/v3/delete_image", request_id=job)

    def intruder(self) -> Self:
        found = type(self)(self.server)
        found.key = "none"
        return found

    def stranger(self) -> Self:
        return type(self)(self.server)

    def _ask(self, path: str, **body: object) -> dict[str, Any]:
        answer = WEB.post(self.server.url + path, json={"key": self.key} | body, timeout=30)
        found: dict[str, Any] = answer.json()
        if answer.status_code == 404:
            raise Unknown(answer.text)
        if answer.status_code != 200:
            raise Refused(answer.status_code, json.dumps(found))
        return found


def _told(answer: dict[str, Any]) -> Told:
    if answer["status"] == "processing":
        return Told("working", _PERCENT["working"])
    if answer["status"] == "success":
        return Told("done", 100, WEB.get(answer["output"][0], timeout=30).content)
    reason = answer["tip"]
    state: State = "cancelled" if reason == _CANCELLED else "failed"
    return Told(state, _PERCENT[state], reason=reason)
