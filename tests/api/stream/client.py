"""A client of the streaming API as people write them: connect, send, read until the close."""

from __future__ import annotations

import base64
import io
import json
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.client import ClientConnection

    from tests.server import Server

Json = dict[str, Any]
KEY = "a-key-of-the-tests"
_OF_A_JOB = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
SMALL: Json = {"prompt": "a red kite", "image_size": [256, 256], "steps": 5}


@dataclass
class Story:
    """All that a server said."""

    code: int = 0
    reason: str = ""
    texts: list[str] = field(default_factory=list)

    @property
    def frames(self) -> list[Json]:
        return [json.loads(one) for one in self.texts]

    @property
    def steps(self) -> list[int]:
        return [one["step"] for one in self.frames]

    @property
    def said(self) -> Json:
        """The reason of the close."""
        found: Json = json.loads(self.reason)
        return found

    @property
    def end(self) -> tuple[int, int]:
        """The code of the close and the API's own."""
        return self.code, self.said["code"]


def picture(frame: Json) -> Image.Image:
    opened = Image.open(io.BytesIO(base64.b64decode(frame["image"], validate=True)))
    opened.load()
    return opened


@dataclass(frozen=True)
class Client:
    server: Server
    key: str | None = KEY
    path: str = "/generate"

    @property
    def url(self) -> str:
        return self.server.url.replace("http", "ws", 1) + self.path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    @contextmanager
    def connection(self, **options: Any) -> Iterator[ClientConnection]:
        options = {"additional_headers": self.headers, "max_size": None} | options
        with connect(self.url, **options) as found:
            yield found

    def say(self, *messages: str | bytes, **options: Any) -> Story:
        """Send these, then listen to the close."""
        with self.connection(**options) as socket:
            return say(socket, *messages)

    def ask(self, **fields: object) -> Story:
        return self.say(json.dumps(SMALL | fields))


def say(socket: ClientConnection, *messages: str | bytes) -> Story:
    with suppress(ConnectionClosed):  # it may be shut already: `listen` hears why
        for one in messages:
            socket.send(one)
    return listen(socket)


def listen(socket: ClientConnection, timeout: float = 60) -> Story:
    story = Story()
    try:
        while True:
            text = socket.recv(timeout=timeout)
            assert isinstance(text, str)
            story.texts.append(text)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None, "closed without a word"
        story.code, story.reason = closed.rcvd.code, closed.rcvd.reason
    return story


def left_behind(server: Server) -> list[str]:
    """Files that are still there of jobs, of any dialect, and of pictures as this one makes them."""
    of_jobs = [one.name for one in (server.data_dir / "queue").rglob("*") if _OF_A_JOB.match(one.name)]
    return of_jobs + [one.name for one in (server.data_dir / "outputs").glob("*.png")]
