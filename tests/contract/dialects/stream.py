from __future__ import annotations

import base64
import json
import threading
import uuid
from typing import TYPE_CHECKING, ClassVar, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.contract.dialect import ENDS, Dialect, Refused, Served, State, Told
from tests.server import wait_until

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection


_KEY = "a-key-of-the-contract"
_MOST_STEPS = 500
_REFUSALS = (1003, 3000, 3003)
"""Codes of a request that was never taken; all others tell how a job ended."""


class _Call:
    """A socket with its one job: all that was told, as a thread hears it."""

    def __init__(self, url: str, key: str, message: str) -> None:
        self.told: list[Told] = []
        self.refused: Refused | None = None
        self._taken_back = False
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._tell, args=(url, key, message), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._taken_back = True
        assert self._socket is not None
        self._socket.close()
        self._thread.join(30)

    def wait(self, timeout: float) -> None:
        self._thread.join(timeout)

    @property
    def ended(self) -> bool:
        return self.refused is not None or bool(self.told and self.told[-1].state in ENDS)

    @property
    def latest(self) -> Told:
        return self.told[-1] if self.told else Told("waiting", 0)

    def _tell(self, url: str, key: str, message: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        with connect(url, additional_headers=headers, max_size=None, open_timeout=30) as self._socket:
            try:
                self._socket.send(message)
                while True:
                    self._hear(json.loads(self._socket.recv()))
            except ConnectionClosed as closed:
                self._end(closed)

    def _hear(self, frame: dict[str, object]) -> None:
        request, step = frame["request"], frame["step"]
        assert isinstance(request, dict)
        assert isinstance(step, int)
        if not frame["completed"]:
            self.told.append(Told("working", 100 * step / request["steps"]))
        else:
            self.told.append(Told("done", 100, base64.b64decode(str(frame["image"]))))

    def _end(self, closed: ConnectionClosed) -> None:
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
        if code in _REFUSALS:
            self.refused = Refused(code, reason)
        elif not self.ended:
            state: State = "cancelled" if self._taken_back else "failed"
            self.told.append(Told(state, self.latest.percent, reason=reason))


class Client(Dialect):
    settings: ClassVar[dict[str, object]] = {"api_keys": f"contract:{_KEY}", "stream_max_wait": 60}
    lacks: ClassVar[frozenset[str]] = frozenset({"seed", "model"})
    nameless: ClassVar[str] = "a job is its socket; nobody can name it"

    def __init__(self, server: Served, key: str = _KEY) -> None:
        super().__init__(server)
        self._key = key
        self._calls: dict[str, _Call] = {}

    def submit(self, **asked: object) -> str:
        before, name = self.server.jobs(), str(uuid.uuid4())
        if isinstance(steps := asked.get("steps"), int):
            asked["steps"] = min(steps, _MOST_STEPS)  # the stories' long jobs are as long as they may be
        message = json.dumps({"image_size": [256, 256]} | asked)
        url = self.server.url.replace("http", "ws", 1) + "/generate"
        call = self._calls[name] = _Call(url, self._key, message)
        # It is not said that a request was taken; but then there is a job.
        wait_until(lambda: call.ended or call.told or self.server.jobs() - before, 30, self.server.log)
        if call.refused is not None:
            raise call.refused
        return name

    def look(self, job: str) -> Told:
        return self._calls[job].latest

    def watch(self, **asked: object) -> list[Told]:
        call = self._calls[self.submit(**asked)]
        call.wait(60)
        return call.told

    def cancel(self, job: str) -> None:
        self._calls[job].close()

    def intruder(self) -> Self:
        return type(self)(self.server, "none")
