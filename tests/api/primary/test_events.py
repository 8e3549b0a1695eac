"""GET /queue/{id}/events: a job's life as it happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.jobs.memory import MemoryJobStore
from tests.server import WEB, Server, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

Told = tuple[str, int, dict[str, Any]]


def read(lines: Any, until: int | None = None) -> list[Told]:
    """The events of a feed: name, id, data."""
    told: list[Told] = []
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            told.append((fields["event"], int(fields["id"]), json.loads(fields["data"])))
            fields = {}
            if until is not None and len(told) >= until:
                break
    return told


def watch(server: Server, job_id: str, **headers: str) -> list[Told]:
    url = f"{server.url}/queue/{job_id}/events"
    with WEB.stream("GET", url, headers=headers, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return read(answer.iter_lines())


def test_a_job_tells_its_life_from_the_queue_to_the_picture(server: Server) -> None:
    job_id = server.submit(steps=5)
    told = watch(server, job_id)
    names = [name for name, _, _ in told if name != "queued"]
    assert names == ["started", "phase", *["step"] * 5, "phase", "finished"]
    assert all(data["job_id"] == job_id for _, _, data in told)
    steps = [data for name, _, data in told if name == "step"]
    assert [(one["step"], one["steps"], one["progress"]) for one in steps] == [
        (n, 5, 20.0 * n) for n in range(1, 6)
    ]
    _, _, finished = told[-1]
    assert finished["image_url"] == f"{server.url}/images/{job_id}.jpg"
    assert finished["output_path"] == f"outputs/{job_id}.jpg"
    assert WEB.get(finished["image_url"]).status_code == 200
    sampling = finished["sampling"]
    assert (sampling["sampler_name"], sampling["scheduler_type"]) == ("DPM++ 2M Karras", "karras")
    assert (sampling["steps"], sampling["seed"]) == (5, finished["seed"])


def test_watching_uses_up_nothing(server: Server) -> None:
    job_id = server.submit(steps=1)
    assert watch(server, job_id)[-1][0] == "finished"
    assert watch(server, job_id)[-1][0] == "finished"
    assert server.status(job_id)["state"] == "done"


def test_numbers_rise_and_a_client_may_go_on_where_it_was(server: Server) -> None:
    job_id = server.submit(steps=5)
    whole = [one for one in watch(server, job_id) if one[0] != "queued"]
    numbers = [number for _, number, _ in whole]
    assert numbers == sorted(set(numbers))
    rest = watch(server, job_id, **{"Last-Event-ID": str(numbers[3])})
    assert rest == whole[4:]


def test_a_waiting_job_tells_its_position(idle_client: TestClient) -> None:
    first, second = (idle_client.post("/txt2img", json={"prompt": "x"}).json()["job_id"] for _ in range(2))
    with idle_client.stream("GET", f"/queue/{second}/events") as answer:
        lines = answer.iter_lines()
        idle_client.delete(f"/queue/{second}")
        told = read(lines)
    assert told[-1][0] == "cancelled"
    assert all(data["position"] == 2 for name, _, data in told if name == "queued")
    assert first != second


def test_a_failure_and_a_cancel_are_told(server: Server) -> None:
    name, _, data = watch(server, server.submit(prompt="#fail@2"))[-1]
    assert (name, data["code"]) == ("failed", "generation_failed")
    assert "fake engine" in data["error"]
    job_id = server.submit(steps=1000)
    server.wait_for_state(job_id, "processing")
    WEB.delete(f"{server.url}/queue/{job_id}")
    assert watch(server, job_id)[-1][0] == "cancelled"


@pytest.mark.slow
def test_the_end_is_told_even_when_another_client_fetches_it_first(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0.01) as server:
        for _ in range(5):
            job_id = server.submit(steps=10)
            with WEB.stream("GET", f"{server.url}/queue/{job_id}/events", timeout=30) as feed:
                lines = feed.iter_lines()
                read(lines, until=2)
                assert server.result(job_id)["state"] == "done"  # polls as fast as it can, so it is first
                assert read(lines)[-1][0] == "finished"


def test_an_unknown_job_is_a_404_and_no_feed(idle_client: TestClient) -> None:
    answer = idle_client.get("/queue/242d6f93-ea2d-4d5e-b820-0b61468558be/events")
    assert answer.status_code == 404
    assert answer.json()["status"] == "error"


@pytest.mark.slow
def test_open_feeds_do_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0.05) as server:
        job_id = server.submit(steps=1000)
        server.wait_for_state(job_id, "processing")
        with WEB.stream("GET", f"{server.url}/queue/{job_id}/events", timeout=30) as feed:
            lines = feed.iter_lines()
            read(lines, until=2)
            assert server.stop() < 5
        assert "Traceback" not in server.log()
        server.start()
        wait_until(lambda: server.get("/queue").json()["running"], 20)


def test_a_feed_whose_job_is_lost_ends_with_a_failure(
    idle_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer has begun by then, and cannot be a 404 any more."""
    job_id = idle_client.post("/txt2img", json={"prompt": "x"}).json()["job_id"]
    position = MemoryJobStore.position

    def lose(store: MemoryJobStore, asked: str) -> int | None:
        found = position(store, asked)
        store.forget(asked)
        return found

    monkeypatch.setattr(MemoryJobStore, "position", lose)
    monkeypatch.setattr(MemoryJobStore, "epitaph", lambda *_: None)
    lines = idle_client.get(f"/queue/{job_id}/events").text.splitlines()
    assert [line for line in lines if line.startswith("event: ")] == ["event: queued", "event: failed"]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert data[-1] == {"job_id": job_id, "code": "unknown_job", "error": f"Job {job_id} not found"}
