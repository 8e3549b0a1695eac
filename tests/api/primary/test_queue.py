"""GET, HEAD and DELETE /queue: what a client reads while it waits, and how a job comes to its end."""

from __future__ import annotations

import base64
import io
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from diffusionapi.api.primary.work_schemas import ENLARGE_EXAMPLE, LEARN_EXAMPLE
from diffusionapi.core.job import JobState
from tests.api.primary.seed_example import REQUEST, install_its_names
from tests.api.primary.test_img2img import MASK, PICTURE
from tests.factories import a_ticket
from tests.server import WEB, Server, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

RUNNING_KEYS = ["status", "job_id", "progress", "current_phase", "state", "error"]
NOWHERE = "242d6f93-ea2d-4d5e-b820-0b61468558be"


def submit(client: TestClient, **body: Any) -> str:
    job_id: str = client.post("/txt2img", json={"prompt": "a lighthouse", "steps": 3} | body).json()["job_id"]
    return job_id


def last_answer(client: TestClient, job_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/queue/{job_id}", params={"wait": 30}).json()
    return answer


def test_jobs_of_a_higher_priority_wait_before_the_others(idle_client: TestClient) -> None:
    first, last, urgent = (submit(idle_client, priority=one) for one in (0, -1, 2))
    larger = idle_client.post("/upscale", json=ENLARGE_EXAMPLE | {"priority": 1}).json()["job_id"]
    learnt = idle_client.post("/training", json=LEARN_EXAMPLE | {"priority": -10}).json()["job_id"]
    line = [urgent, larger, first, last, learnt]
    waiting = idle_client.get("/queue").json()["waiting"]
    assert [(one["job_id"], one["position"]) for one in waiting] == list(zip(line, range(1, 6), strict=True))


def test_a_waiting_job_has_the_six_documented_keys(idle_client: TestClient) -> None:
    job_id = submit(idle_client)
    answer = idle_client.get(f"/queue/{job_id}")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "job_id": job_id,
        "progress": 0.0,
        "current_phase": "queued",
        "state": "queued",
        "error": None,
    }
    assert list(answer.json()) == RUNNING_KEYS


def test_the_documented_example_holds_field_for_field_in_both_states(slow_server: Server) -> None:
    install_its_names(slow_server.data_dir)
    job_id = slow_server.submit(**REQUEST)
    seen = [slow_server.status(job_id)]
    while seen[-1]["state"] != "done":
        seen.append(slow_server.status(job_id))
    running = [one for one in seen if one["state"] == "processing"]
    assert running
    for one in running:
        assert list(one) == RUNNING_KEYS
        assert (one["status"], one["job_id"], one["error"]) == ("success", job_id, None)
        assert 0 <= one["progress"] <= 100
        assert round(one["progress"], 2) == one["progress"]
    progress = [one["progress"] for one in seen]
    assert progress == sorted(progress)
    phases = list(dict.fromkeys(one["current_phase"] for one in seen))
    assert phases[-1] == "done"
    assert phases.index("initial generation") < phases.index("upscaling")
    assert all(one["progress"] <= 50 for one in seen if one["current_phase"] == "initial generation")
    assert all(one["progress"] >= 50 for one in seen if one["current_phase"] == "upscaling")

    done = seen[-1]
    image = done.pop("image")
    seconds, before, after = (
        done.pop(key) for key in ("generation_time_sec", "memory_before_mb", "memory_after_mb")
    )
    assert done == {
        "status": "success",
        "job_id": job_id,
        "progress": 100,
        "current_phase": "done",
        "state": "done",
        "error": None,
        "payload": REQUEST,
        "output_path": f"outputs/{job_id}.jpg",
        "width": 2048,
        "height": 2048,
        "file_type": "jpg",
        "jpeg_quality": 85,
        "seed": 123456789,
        "sampling": {
            "sampler_name": "DPM++ 2M Karras",
            "scheduler_type": "karras",
            "steps": 30,
            "hires_steps": 20,
            "seed": 123456789,
            "notices": [],
        },
    }
    assert list(done["payload"]) == list(REQUEST)
    content = base64.b64decode(image, validate=True)
    assert content == (slow_server.data_dir / done["output_path"]).read_bytes()
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, picture.size) == ("JPEG", (2048, 2048))
    assert 2 < seconds < 30
    assert 10 < before <= after < 4000


def test_the_final_answer_has_the_documented_keys_in_their_order(client: TestClient) -> None:
    assert list(last_answer(client, submit(client))) == [
        *RUNNING_KEYS,
        "payload",
        "image",
        "output_path",
        "width",
        "height",
        "file_type",
        "jpeg_quality",
        "generation_time_sec",
        "memory_before_mb",
        "memory_after_mb",
        "seed",
        "sampling",
    ]


def test_the_answer_says_how_the_picture_was_really_sampled(client: TestClient) -> None:
    done = last_answer(client, submit(client, sampler_name="ddim", seed=5))
    assert done["payload"]["scheduler_type"] == "karras"
    assert done["sampling"] == {
        "sampler_name": "DDIM",
        "scheduler_type": "own",
        "steps": 3,
        "hires_steps": None,
        "seed": 5,
        "notices": ["The schedule type 'karras' has no effect: DDIM has noise levels of its own"],
    }


def test_a_png_has_no_jpeg_quality(client: TestClient) -> None:
    answer = last_answer(client, submit(client, fileType="png"))
    assert (answer["file_type"], answer["jpeg_quality"]) == ("png", None)
    assert base64.b64decode(answer["image"]).startswith(b"\x89PNG")


def test_a_drawn_seed_is_reported_and_gives_the_same_picture(client: TestClient) -> None:
    first = last_answer(client, submit(client, seed=-1))
    assert "seed" in first
    assert first["payload"]["seed"] == -1
    again = last_answer(client, submit(client, seed=first["seed"]))
    assert again["image"] == first["image"]


def test_two_requests_without_a_seed_give_two_pictures(client: TestClient) -> None:
    first, second = (last_answer(client, submit(client)) for _ in range(2))
    assert first["seed"] != second["seed"]
    assert first["image"] != second["image"]


def test_the_final_answer_is_given_once_and_leaves_only_the_picture(server: Server) -> None:
    job_id = server.submit(steps=2)
    assert server.result(job_id)["state"] == "done"
    gone = server.get(f"/queue/{job_id}")
    assert gone.status_code == 404
    assert not list((server.data_dir / "queue").glob(f"{job_id}*"))
    assert [one.name for one in (server.data_dir / "outputs").glob(f"{job_id}*")] == [f"{job_id}.jpg"]


@pytest.mark.parametrize(
    "job_id", [NOWHERE, "no-uuid", "..%2F..%2Fetc%2Fpasswd", NOWHERE.upper(), "%00", "index"]
)
def test_an_unknown_job_is_a_404_with_the_documented_body(idle_client: TestClient, job_id: str) -> None:
    answer = idle_client.get(f"/queue/{job_id}")
    assert answer.status_code == 404
    found = answer.json()
    assert found["status"] == "error"
    assert found["error"] == found["detail"]
    if job_id == NOWHERE:
        assert found["detail"] == f"Job {NOWHERE} not found"
        assert found["job_id"] == NOWHERE


def test_a_malformed_job_id_never_touches_the_disk(
    idle_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(*_: object) -> None:
        raise AssertionError("the store was asked")

    monkeypatch.setattr("diffusionapi.jobs.memory.MemoryJobStore.progress", touched)
    for method in ("GET", "HEAD", "DELETE"):
        assert idle_client.request(method, "/queue/not-a-job").status_code == 404


def test_a_job_whose_picture_was_removed_by_hand_is_gone(client: TestClient, tmp_path: Path) -> None:
    job_id = submit(client)
    wait_until(lambda: _done(client, job_id), 20)
    (tmp_path / "outputs" / f"{job_id}.jpg").unlink()
    answer = client.get(f"/queue/{job_id}")
    assert answer.status_code == 404
    assert answer.json()["job_id"] == job_id


def test_a_failed_job_says_so_once(client: TestClient) -> None:
    job_id = submit(client, prompt="#fail@2")
    answer = last_answer(client, job_id)
    assert list(answer) == RUNNING_KEYS
    assert (answer["status"], answer["state"], answer["current_phase"]) == ("error", "error", "error")
    assert "asked the fake engine to fail" in answer["error"]
    assert client.get(f"/queue/{job_id}").status_code == 404


def test_a_look_by_head_uses_up_nothing(client: TestClient) -> None:
    job_id = submit(client)
    wait_until(lambda: not client.get("/queue").json()["running"] and _done(client, job_id), 20)
    for _ in range(3):
        answer = client.head(f"/queue/{job_id}")
        assert (answer.status_code, answer.content) == (200, b"")
    assert last_answer(client, job_id)["state"] == "done"
    assert client.head(f"/queue/{job_id}").status_code == 404


def _done(client: TestClient, job_id: str) -> bool:
    return bool(client.head(f"/images/{job_id}.jpg").status_code == 200) and not _listed(client, job_id)


def _listed(client: TestClient, job_id: str) -> bool:
    listing = client.get("/queue").json()
    return any(one["job_id"] == job_id for one in [*listing["running"], *listing["waiting"]])


@pytest.mark.parametrize("read", [0, 500])
def test_a_client_that_hangs_up_uses_up_nothing(server: Server, read: int) -> None:
    job_id = server.submit(steps=1, width=1024, height=1024, fileType="png")
    wait_until(lambda: server.get(f"/images/{job_id}.png").status_code == 200, 20)
    wait_until(lambda: not server.get("/queue").json()["running"], 20)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(f"GET /queue/{job_id} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            if read:
                client.recv(read)
    assert server.status(job_id)["state"] == "done"


def test_a_waiting_client_is_answered_when_the_job_ends(client: TestClient) -> None:
    job_id = submit(client, steps=20)
    answer = client.get(f"/queue/{job_id}", params={"wait": 30}).json()
    assert answer["state"] == "done"


@pytest.mark.parametrize("wait", ["-1", "61", "soon", "nan"])
def test_a_wrong_waiting_time_is_refused(idle_client: TestClient, wait: str) -> None:
    answer = idle_client.get(f"/queue/{submit(idle_client)}", params={"wait": wait})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("wait: ")


def test_a_waiting_job_is_cancelled_at_once(idle_client: TestClient) -> None:
    job_id = submit(idle_client)
    answer = idle_client.delete(f"/queue/{job_id}")
    assert answer.json() == {"status": "success", "job_id": job_id, "state": "cancelled"}
    status = idle_client.get(f"/queue/{job_id}").json()
    assert (status["state"], status["current_phase"]) == ("error", "cancelled")
    assert status["error"] == "The job was cancelled"


def test_a_running_job_stops_within_a_step_of_its_cancel(slow_server: Server) -> None:
    job_id = slow_server.submit(steps=1000)
    slow_server.wait_for_state(job_id, "processing")
    wait_until(lambda: slow_server.status(job_id)["progress"] > 0, 20)
    before = slow_server.status(job_id)["progress"]
    answer = WEB.delete(f"{slow_server.url}/queue/{job_id}")
    assert answer.json()["state"] == "cancelling"
    ended = slow_server.result(job_id)
    assert ended["error"] == "The job was cancelled"
    assert ended["progress"] - before < 1  # of 0.1 a step: a handful of them
    follower = slow_server.submit(steps=1)
    assert slow_server.result(follower)["state"] == "done"


def test_an_ended_job_cannot_be_cancelled(client: TestClient) -> None:
    job_id = submit(client)
    wait_until(lambda: _done(client, job_id), 20)
    answer = client.delete(f"/queue/{job_id}")
    assert answer.status_code == 409
    assert "has ended already (done)" in answer.json()["error"]
    assert client.delete(f"/queue/{NOWHERE}").status_code == 404


def test_the_list_shows_what_waits_in_its_order(idle_client: TestClient) -> None:
    first, second, third = (submit(idle_client) for _ in range(3))
    listing = idle_client.get("/queue", params={"limit": 2}).json()
    assert listing["status"] == "success"
    assert listing["running"] == []
    assert [(one["job_id"], one["position"]) for one in listing["waiting"]] == [(first, 1), (second, 2)]
    assert all(one["waiting_time_sec"] >= 0 for one in listing["waiting"])
    assert listing["waiting_total"] == 3
    idle_client.delete(f"/queue/{first}")
    assert [one["job_id"] for one in idle_client.get("/queue").json()["waiting"]] == [second, third]


def test_the_list_says_what_each_job_is(idle_client: TestClient) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "txt2img": {"prompt": "x"},
        "img2img": {"prompt": "x", "image": PICTURE},
        "inpaint": {"prompt": "x", "image": PICTURE, "mask": MASK},
        "upscale": {"image": PICTURE},
        "training": {"name": "dog", "images": [PICTURE], "instance_prompt": "a photo of sks dog"},
    }
    for route, body in bodies.items():
        assert idle_client.post(f"/{route}", json=body).status_code == 200
    assert [one["kind"] for one in idle_client.get("/queue").json()["waiting"]] == list(bodies)


def test_the_list_shows_what_runs(slow_server: Server) -> None:
    job_id = slow_server.submit(steps=1000)
    slow_server.wait_for_state(job_id, "processing")
    (running,) = slow_server.get("/queue").json()["running"]
    assert (running["job_id"], running["state"], running["position"]) == (job_id, "processing", None)
    assert running["kind"] == "txt2img"
    WEB.delete(f"{slow_server.url}/queue/{job_id}")


@pytest.mark.parametrize(
    ("limit", "problem"),
    [("0", "must be from 1 to 1000"), ("1001", "must be from 1 to 1000"), ("x", "must be a whole number")],
)
def test_a_wrong_limit_is_refused(idle_client: TestClient, limit: str, problem: str) -> None:
    answer = idle_client.get("/queue", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["error"] == f"limit: {problem}, got '{limit}'"


def test_jobs_of_other_dialects_stand_in_the_line_but_are_not_known(idle_client: TestClient) -> None:
    store = idle_client.app.state.service.store  # type: ignore[attr-defined]
    foreign = store.submit(replace(a_ticket(), dialect="tasks"), limit=100)
    own = idle_client.post("/txt2img", json={"prompt": "x"}).json()["job_id"]

    listing = idle_client.get("/queue").json()
    assert [(one["job_id"], one["position"]) for one in listing["waiting"]] == [(own, 2)]
    assert listing["waiting_total"] == 2
    for method, path in (("GET", ""), ("HEAD", ""), ("DELETE", ""), ("GET", "/events")):
        assert idle_client.request(method, f"/queue/{foreign}{path}").status_code == 404
    assert store.progress(foreign).state is JobState.QUEUED
