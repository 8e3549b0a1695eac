"""A client's server on loopback: it notes what it is sent, and answers as a test wants, or not at all."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

HANG, VANISH, HALF = "hang", "vanish", "half"
"""Say nothing; hang up in the middle of the request; hang up in the middle of the answer's first line."""


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def form(self) -> dict[str, tuple[str | None, str, bytes]]:
        """Of each part: its file name, its type and its content."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        found = {}
        for part in message_from_bytes(head + self.body).walk():
            name = part.get_param("name", header="content-disposition")
            if isinstance(name, str):
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                found[name] = (part.get_filename(), part.get_content_type(), content)
        return found


class Receiver:
    """`answers` by path: a status, a redirect's target or one of the ways to say nothing, or a list of them
    for one request after the other, of which the last one stays."""

    def __init__(self, answers: Mapping[str, object] | None = None, *, port: int = 0) -> None:
        self.answers = answers or {}
        self.received: list[Received] = []
        self._seen: dict[str, int] = {}
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [one.path for one in self.received]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            head, _, body = _until(connection, b"", lambda got: b"\r\n\r\n" in got).partition(b"\r\n\r\n")
            if not head:  # who called has thought better of it
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            path = first.split(" ")[1] if " " in first else ""
            headers = {
                name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
            }
            answer = self._next(path)
            if answer == VANISH:
                self.received.append(Received(path, headers, b"", time.time()))
                _break_off(connection)
                return
            length = int(headers.get("content-length", 0))
            body = _until(connection, body, lambda got: len(got) >= length)
            self.received.append(Received(path, headers, body, time.time()))
            if answer == HANG:
                self._stopping.wait(30)
            elif answer == HALF:
                connection.sendall(b"HTTP/1.1 2")
            elif isinstance(answer, str):
                connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {answer}\r\n\r\n".encode())
            else:
                connection.sendall(f"HTTP/1.1 {answer} x\r\nContent-Length: 2\r\n\r\nok".encode())

    def _next(self, path: str) -> object:
        answer = self.answers.get(path, 200)
        if not isinstance(answer, list):
            return answer
        seen = self._seen[path] = self._seen.get(path, 0) + 1
        return answer[min(seen, len(answer)) - 1]


def _until(connection: socket.socket, got: bytes, enough: Callable[[bytes], bool]) -> bytes:
    while not enough(got) and (part := connection.recv(65536)):
        got += part
    return got


def _break_off(connection: socket.socket) -> None:
    """Close with a reset, as a machine that goes down does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
