"""GET /metrics: what an operator watches, of every store."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from diffusionapi.core.events import Failed, Failure, Started
from diffusionapi.errors import StorageUnavailable
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.main import create_app
from tests.factories import a_request, a_ticket, a_ticket_of, a_training
from tests.redis_server import RedisServer
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.jobs.store import JobStore
    from diffusionapi.settings import Settings

_LINE = re.compile(r'diffusionapi_(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)')


def figures(client: TestClient) -> dict[str, float]:
    """Name, and labels if there are some -> value. Every line has to be one that can be read."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in answer.text.splitlines():
        if not line.startswith("# "):
            match = _LINE.fullmatch(line)
            assert match is not None, line
            found[f"{match[1]} {match[2]}" if match[2] else match[1]] = float(match[3])
    return found


@pytest.fixture(params=["memory:", "file:queue", "redis"])
def job_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param != "redis":
        yield request.param
        return
    with RedisServer(tmp_path / "redis") as redis:
        yield redis.url


def _lane(name: str, kind: str, model: str) -> str:
    return f'{name} kind="{kind}",model="{model}",priority="0"'


def test_the_line_is_told_by_what_its_jobs_need(settings: Settings, job_store: str) -> None:
    with TestClient(create_app(settings.model_copy(update={"job_store": job_store, "workers": 0}))) as client:
        store: JobStore = client.app.state.service.store  # type: ignore[attr-defined]
        for work in (a_request(model="a"), a_request(model="a"), a_request(model="b"), a_training()):
            ticket = a_ticket_of(work)
            store.submit(replace(ticket, created_at=ticket.created_at - 60), limit=10)
        claim = store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        found = figures(client)
        assert (found["jobs_waiting"], found["jobs_running"], found["store_up"]) == (3, 1, 1)
        assert found[_lane("lane_waiting", "generation", "a")] == 1
        assert found[_lane("lane_waiting", "generation", "b")] == 1
        assert found[_lane("lane_waiting", "training", a_training().model)] == 1
        assert not [name for name in found if name.startswith("worker_")]
        assert ("dead_letters" in found) is job_store.startswith("redis")
        claim.release()


@pytest.mark.parametrize("kind", ["memory:", "file:queue"])
def test_the_oldest_job_is_told(settings: Settings, kind: str) -> None:
    with TestClient(create_app(settings.model_copy(update={"job_store": kind, "workers": 0}))) as client:
        store: JobStore = client.app.state.service.store  # type: ignore[attr-defined]
        old = a_ticket(model="a")
        store.submit(replace(old, created_at=old.created_at - 60), limit=10)
        store.submit(a_ticket(model="a"), limit=10)
        assert 60 <= figures(client)[_lane("lane_oldest_seconds", "generation", "a")] < 90


def test_jobs_that_were_given_up_are_counted(settings: Settings, tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path / "redis") as redis,
        TestClient(create_app(settings.model_copy(update={"job_store": redis.url, "workers": 0}))) as client,
    ):
        store: JobStore = client.app.state.service.store  # type: ignore[attr-defined]
        store.submit(a_ticket(), limit=10)
        claim = store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        claim.record(Failed(Failure("engine_died", "The engine died 3 times under this job")))
        claim.release()
        assert figures(client)["dead_letters"] == 1


def test_what_the_workers_of_this_process_do_is_counted(client: TestClient) -> None:
    steps = 5
    for _ in range(3):
        assert client.post("/txt2img", json={"prompt": "x", "steps": steps}).status_code == 200
    done = 'worker_ended_total outcome="done"'
    wait_until(lambda: figures(client)[done] == 3, 30)
    found = figures(client)
    assert (found["worker_jobs_total"], found["worker_loads_total"]) == (3, 1)
    assert found["worker_steps_total"] == 3 * steps
    assert 0 < found["worker_step_seconds_total"] < 60


def test_without_its_store_a_server_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: object) -> None:
        raise StorageUnavailable("The queue cannot be reached")

    monkeypatch.setattr(MemoryJobStore, "census", away)
    found = figures(client)
    assert found["store_up"] == 0
    assert "jobs_waiting" not in found
