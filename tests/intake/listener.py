"""A web server on loopback that counts who comes, and answers whatever bytes a test wants."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


def an_answer(body: bytes = b"", *headers: str, status: str = "200 OK", kind: str = "image/png") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def a_redirect(to: str, status: str = "302 Found") -> bytes:
    return an_answer(b"", f"Location: {to}", status=status)


class Listener:
    """`answers` by path; `dribble` is the pause after each byte of an answer."""

    def __init__(self, answers: dict[str, bytes] | None = None, *, dribble: float = 0) -> None:
        self.answers = answers or {}
        self.dribble = dribble
        self.connections = 0
        self.requests: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            request = b""
            while b"\r\n\r\n" not in request and (part := connection.recv(65536)):
                request += part
            text = request.decode("latin-1")
            self.requests.append(text)
            path = text.split(" ")[1].partition("?")[0] if " " in text else ""
            answer = self.answers.get(path, an_answer(b"no", status="404 Not Found", kind="text/plain"))
            try:
                if not self.dribble:
                    connection.sendall(answer)
                    return
                for place in range(len(answer)):
                    connection.sendall(answer[place : place + 1])
                    time.sleep(self.dribble)
            except OSError:
                return
