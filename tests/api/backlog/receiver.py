"""A client's server on loopback, which takes what it is told, or is as bad as a test wants it to be."""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from email.message import Message
    from types import TracebackType


@dataclass(frozen=True)
class Call:
    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def parts(self) -> dict[str, Message]:
        """Of a form, by their names."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = message_from_bytes(head + self.body)
        found: dict[str, Message] = {}
        for part in form.walk():
            if name := part.get_param("name", header="Content-Disposition"):
                found[str(name)] = part
        return found

    @property
    def fields(self) -> dict[str, str]:
        """The text of a form."""
        return {
            name: part.get_payload(decode=True).decode()  # type: ignore[union-attr]
            for name, part in self.parts.items()
            if part.get_filename() is None
        }


class Receiver:
    """`status` is what it answers, after `pause` seconds; `half_way` hangs up in the middle of the answer."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.status = 200
        self.pause = 0.0
        self.half_way = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def told(self) -> list[dict[str, Any]]:
        return [one.json for one in self.calls if one.path == "/notify"]

    @property
    def stages(self) -> list[int]:
        return [one["stage"] for one in self.told]

    @property
    def uploads(self) -> list[Call]:
        return [one for one in self.calls if one.path == "/upload"]

    def close(self) -> None:
        """Nobody is there any more: connections are refused."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - inside, `self` is another
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append(Call(self.path, self.headers, body))
                time.sleep(receiver.pause)
                if receiver.half_way:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Be silent."""

        return Handler
