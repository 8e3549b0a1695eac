"""A Redis that answers, and refuses: said once when it begins, and once when it is over."""

from __future__ import annotations

import socketserver
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.errors import StorageUnavailable
from diffusionapi.jobs.redis.store import RedisJobStore
from tests.factories import a_ticket
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Opened = Callable[[], RedisJobStore]


@contextmanager
def a_replica(redis: Any) -> Iterator[None]:
    """It takes no writes, as it follows another; nobody listens at port 1."""
    redis.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        redis.replicaof("NO", "ONE")


def told(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelname != "DEBUG" and words in one.message]


def test_what_a_replica_refuses_is_told_once_though_it_answers_what_is_only_read(
    opened: Opened, redis: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionapi.jobs.redis.refusals._QUIET", 0.6)
    monkeypatch.setattr("diffusionapi.jobs.redis.refusals._LOOK", 0.05)
    store = opened()
    with a_replica(redis):
        for _ in range(10):
            for ask in (lambda: store.submit(a_ticket(), limit=9), store.check, store.claim):
                with pytest.raises(StorageUnavailable, match="refuses"):
                    ask()
            assert store.position("nobody's") is None
            time.sleep(0.02)
    assert len(told(caplog, "Redis refused")) == 1
    assert "read only replica" in told(caplog, "Redis refused")[0]
    wait_until(lambda: told(caplog, "refuses nothing any more"), 5)
    with a_replica(redis), pytest.raises(StorageUnavailable):
        store.check()
    assert len(told(caplog, "Redis refused")) == 2


def test_what_is_no_redis_at_all_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    class Web(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(1000):
                self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Web) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with closing(RedisJobStore(f"redis://127.0.0.1:{server.server_address[1]}/0")) as store:
            for _ in range(10):
                with pytest.raises(StorageUnavailable):
                    store.check()
                time.sleep(0.1)
        server.shutdown()
    assert len(told(caplog, "Redis")) == 1
