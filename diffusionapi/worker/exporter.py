"""A worker process' own little HTTP server: its figures for Prometheus, and whether it lives and can work."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from diffusionapi import prometheus
from diffusionapi.errors import Error, Misconfigured

if TYPE_CHECKING:
    from diffusionapi.jobs.store import JobStore
    from diffusionapi.worker.pool import WorkerPool


class Exporter:
    """`/metrics`, `/livez` and `/readyz`, as the servers have them, on all addresses of the machine."""

    def __init__(self, port: int, pool: WorkerPool, store: JobStore) -> None:
        """Misconfigured when the port is taken."""
        self._pool = pool
        self._store = store
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                status, kind, body = exporter.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Requests are no lines of the log, as those of a server are none."""

        try:
            self._server = ThreadingHTTPServer(("", port), Handler)
        except OSError as error:
            raise Misconfigured(f"--metrics: cannot listen on port {port}: {error.strerror}") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        match path.partition("?")[0]:
            case "/metrics":
                return 200, prometheus.CONTENT_TYPE, prometheus.text(self._pool.figures.families()).encode()
            case "/livez":
                return self._said("" if self._pool.alive else "a worker is not running")
            case "/readyz":
                return self._said(self._problem())
        return 404, "text/plain", b"There are /metrics, /livez and /readyz.\n"

    def _problem(self) -> str:
        if problem := self._pool.problem:
            return problem
        try:
            self._store.check()
        except Error as error:
            return error.sentence
        return ""

    @staticmethod
    def _said(problem: str) -> tuple[int, str, bytes]:
        return (503 if problem else 200), "text/plain; charset=utf-8", f"{problem or 'ok'}\n".encode()
