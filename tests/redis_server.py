"""A redis-server of the tests' own: on a free port, in a folder, killed and frozen as they like.

with RedisServer(folder, appendonly=True) as server:
    store = RedisJobStore(server.url)
    server.kill()
    server.start()      # the same port and folder
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

import pytest

from tests.server import free_port

if TYPE_CHECKING:
    from pathlib import Path

BINARY = shutil.which("redis-server")


def require_redis_server() -> None:
    """Skip the test on a machine that has none; fail it in CI."""
    if BINARY is None:
        reason = "there is no redis-server; Debian's package is called so"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


class RedisServer:
    """Starts at `start` or `with`. What it says is in `folder`/redis.log."""

    def __init__(self, folder: Path, *, appendonly: bool = False, fsync: str = "everysec") -> None:
        require_redis_server()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = ["--appendonly", "yes" if appendonly else "no", "--appendfsync", fsync]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        """Start it, or start it again; returns when it answers."""
        assert self._process is None, "it runs already"
        assert BINARY is not None
        own = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        own += ["--logfile", str(self.folder / "redis.log"), "--maxmemory-policy", "noeviction"]
        self._process = subprocess.Popen([BINARY, *own, *self._options])
        deadline = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"redis-server did not start: {self._log()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """As a power cut would; nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def flush(self) -> None:
        """Forget everything."""
        assert self._ask(b"FLUSHALL") == b"+OK\r\n"

    def _answers(self) -> bool:
        try:
            return self._ask(b"PING") == b"+PONG\r\n"
        except OSError:
            return False

    def _ask(self, command: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(command + b"\r\n")
            return connection.recv(100)

    def _log(self) -> str:
        log = self.folder / "redis.log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "it wrote no log"
