"""Tasks after their submit: whose they are, what is said of them, how they end, how long they stay."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.api.tasks.client import Client, a_png, logged_in, path_of, signed_up
from tests.api.tasks.conftest import KEY
from tests.factories import NOBODYS
from tests.server import WEB, Server, wait_until

if TYPE_CHECKING:
    from pathlib import Path

NOT_FOUND = {"detail": "Task not found"}
NO_CREDENTIALS = {"detail": "Could not validate credentials"}


def test_a_task_s_id_is_a_uuid_as_a_bare_string(bob: Client) -> None:
    answer = bob.ask("POST", "/task", json={"prompt": "corgi", "steps": 2, "width": 64, "height": 64})
    assert answer.text == f'"{uuid.UUID(answer.json())}"'


def test_the_latest_event_is_not_kept_by_caches(bob: Client) -> None:
    assert bob.get(f"/task/{bob.submit(steps=2)}").headers["cache-control"] == "no-cache, no-store"


@pytest.mark.parametrize("task", [NOBODYS, "1", "%2e%2e", "x" * 300])
def test_a_task_that_never_was_is_unknown(bob: Client, task: str) -> None:
    for method in ("GET", "DELETE"):
        answer = bob.ask(method, f"/task/{task}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


def test_somebody_else_s_task_is_unknown(bob: Client, ann: Client) -> None:
    task = bob.submit(steps=2)
    for method in ("GET", "DELETE"):
        answer = ann.ask(method, f"/task/{task}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert bob.end(task)["event_type"] == "finished"


def test_any_token_of_a_user_does_for_the_user_s_tasks(guarded_server: Server) -> None:
    name = f"eve-{uuid.uuid4()}"
    first = other = signed_up(guarded_server, name)
    while other.token == first.token:  # until the next second
        other = logged_in(guarded_server, name)
    task = first.submit(steps=400)
    assert other.event(task)["event_type"] in ("pending", "started")
    assert other.ask("DELETE", f"/task/{task}").status_code == 204
    assert first.end(task)["reason"] == "Task cancelled by user"


def test_jobs_of_the_two_dialects_do_not_know_each_other(bob: Client) -> None:
    task, job = bob.submit(steps=2), bob.server.submit(steps=2, width=64, height=64)
    answer = bob.get(f"/task/{job}")
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", ""), ("HEAD", "")):
        answer = bob.ask(method, f"/queue/{task}{path}")
        assert answer.status_code == 404, (method, path)
    assert bob.end(task)["event_type"] == "finished"
    assert bob.server.result(job)["state"] == "done"


def test_cancelling_again_or_too_late_changes_nothing(bob: Client) -> None:
    done = bob.submit(steps=2)
    finished = bob.end(done)
    assert bob.ask("DELETE", f"/task/{done}").status_code == 204
    assert bob.event(done) == finished
    task = bob.submit(steps=400)
    for _ in range(2):
        assert bob.ask("DELETE", f"/task/{task}").status_code == 204
    aborted = bob.end(task)
    assert bob.ask("DELETE", f"/task/{task}").status_code == 204
    assert bob.event(task) == aborted


def test_a_synchronous_answer_whose_task_somebody_cancels_is_an_error(bob: Client) -> None:
    with bob.socket() as events:

        def cancel() -> None:
            task = events.next()["task_id"]
            assert bob.ask("DELETE", f"/task/{task}").status_code == 204

        with ThreadPoolExecutor(1) as threads:
            cancelling = threads.submit(cancel)
            answer = bob.get("/txt2img", prompt="corgi", steps=500, width=64, height=64)
            cancelling.result()
    assert (answer.status_code, answer.json()) == (500, {"detail": "Task cancelled by user"})


@pytest.mark.parametrize("token", [None, "x", "a.b.c"])
def test_without_a_token_that_is_right_nothing_is_told(guarded_server: Server, token: str | None) -> None:
    stranger = Client(guarded_server, token)
    for method, path in (
        ("POST", "/task"),
        ("GET", f"/task/{uuid.uuid4()}"),
        ("DELETE", f"/task/{uuid.uuid4()}"),
        ("GET", "/txt2img"),
        ("GET", "/img2img"),
        ("GET", "/inpaint"),
    ):
        answer = (
            stranger.ask(method, path, json={"prompt": "corgi"})
            if method == "POST"
            else stranger.ask(method, path)
        )
        assert (answer.status_code, answer.json()) == (401, NO_CREDENTIALS), (method, path)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_may_come_in_the_query_and_the_header_goes_before_it(bob: Client) -> None:
    nobody = Client(bob.server)
    task = bob.submit(steps=2)
    assert nobody.get(f"/task/{task}", token=bob.token).status_code == 200
    wrong = {"Authorization": "Bearer wrong"}
    assert nobody.ask("GET", f"/task/{task}?token={bob.token}", headers=wrong).status_code == 401
    assert bob.get(f"/task/{task}", token="wrong").status_code == 200  # noqa: S106


def test_without_a_token_where_none_is_needed_everybody_is_one_user(open_server: Server) -> None:
    first, second = Client(open_server), Client(open_server)
    task = first.submit(steps=300)
    assert second.ask("DELETE", f"/task/{task}").status_code == 204
    assert first.end(task)["reason"] == "Task cancelled by user"
    assert Client(open_server, "wrong").get(f"/task/{task}").status_code == 401


def test_a_token_of_everybody_ends_with_public_access(open_server: Server, tmp_path: Path) -> None:
    token = Client(open_server).ask("POST", "/token/all").json()["access_token"]
    with Server(tmp_path, secret_key=KEY) as server:
        assert Client(server, token).get(f"/task/{uuid.uuid4()}").status_code == 401
        answer = Client(server).ask("POST", "/token/all")
        assert (answer.status_code, answer.json()) == (403, {"detail": "Public token is disabled"})


@pytest.mark.parametrize(
    ("method", "path", "allowed", "body"),
    [
        ("PUT", "/txt2img", "GET, POST", "primary"),
        ("HEAD", "/txt2img", "GET, POST", ""),
        ("HEAD", "/img2img", "GET, POST", ""),
        ("PUT", "/task", "POST", "tasks"),
        ("PATCH", "/task/1", "DELETE, GET, HEAD", "tasks"),
        ("GET", "/user/bob", "POST", "tasks"),
    ],
)
def test_a_method_that_is_none_is_refused_in_the_path_s_own_words(
    bob: Client, method: str, path: str, allowed: str, body: str
) -> None:
    answer = bob.ask(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    said = "Method Not Allowed"
    faces = {"primary": {"status": "error", "error": said, "detail": said}, "tasks": {"detail": said}}
    assert (answer.json() if body else {}) == faces.get(body, {})


def test_one_path_has_the_words_of_two_dialects_by_its_method(bob: Client) -> None:
    wrong = {"steps": "many", "prompt": "corgi"}
    assert isinstance(bob.get("/txt2img", **wrong).json()["detail"], list)
    assert isinstance(bob.ask("POST", "/txt2img", json=wrong).json()["detail"], str)


def test_tasks_and_their_pictures_stay_when_read_and_go_after_their_time(tmp_path: Path) -> None:
    with Server(tmp_path, enable_public_access=1, job_ttl=3, fake_step_seconds=0) as server:
        client = Client(server)
        task = client.submit(steps=2)
        url = client.end(task)["result"]["blob_url"]
        for _ in range(3):
            assert client.get(path_of(url)).status_code == 200
            assert client.event(task)["event_type"] == "finished"
        job = server.submit(steps=2, width=64, height=64)
        wait_until(lambda: client.get(f"/task/{task}").status_code == 404, 20, server.log)
        assert client.get(path_of(url)).status_code == 404
        wait_until(lambda: server.get(f"/queue/{job}").status_code == 404, 20, server.log)
        # The primary API promises that its pictures stay.
        assert [one.stem for one in (tmp_path / "outputs").iterdir()] == [job]


def test_a_blob_that_is_not_one_is_not_found(bob: Client) -> None:
    picture = bob.upload(a_png())
    for token in ("x", "a.b.c", str(bob.token), path_of(picture).removeprefix("/blob/")[:-3] + "AAA"):
        answer = bob.get(f"/blob/{token}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Blob not found"})


def test_links_begin_with_the_address_the_client_used_or_the_one_that_is_set(
    bob: Client, tmp_path: Path
) -> None:
    answer = WEB.post(
        bob.url + "/blob", files={"blob_data": a_png()}, headers={"Host": "pictures.example:8443"}
    )
    assert answer.json().startswith("http://pictures.example:8443/blob/")
    with Server(tmp_path, base_url="https://pictures.example/api/") as server:
        assert Client(server).upload(a_png()).startswith("https://pictures.example/api/blob/")


@pytest.mark.parametrize("content", [b"", b"no picture", a_png()[:60]])
def test_an_upload_that_is_no_picture_is_refused(bob: Client, content: bytes) -> None:
    answer = bob.ask("POST", "/blob", files={"blob_data": content})
    assert answer.status_code == 422
    assert [one["loc"] for one in answer.json()["detail"]] == [["body", "blob_data"]]


def test_an_upload_without_its_part_is_refused(bob: Client) -> None:
    answer = bob.ask("POST", "/blob", files={"other": a_png()})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "blob_data"]


def test_an_upload_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path, max_upload_mb=1, max_body_mb=1) as server:
        for size, status in ((2**20 + 1000, 422), (3 * 2**20, 413)):
            answer = Client(server).ask("POST", "/blob", files={"blob_data": b"x" * size})
            assert answer.status_code == status, answer.text
            assert "1 MiB" in str(answer.json()["detail"]) or "2 MiB" in str(answer.json()["detail"])


def test_uploads_may_be_kept_to_those_with_a_token(tmp_path: Path) -> None:
    with Server(tmp_path, protect_uploads=1) as server:
        answer = Client(server).ask("POST", "/blob", files={"blob_data": a_png()})
        assert (answer.status_code, answer.json()) == (401, NO_CREDENTIALS)


def test_tokens_of_before_a_restart_are_good_after_it(tmp_path: Path) -> None:
    with Server(tmp_path, enable_signup=1) as server:
        fields = {"username": "bob", "password": "password of bob"}
        assert Client(server).ask("POST", "/user", json=fields).status_code == 200
        before = logged_in(server, "bob")
        url = before.upload(a_png())
        server.stop()
        server.start()
        assert before.end(before.submit(steps=2))["event_type"] == "finished"
        assert before.get(path_of(url)).status_code == 200
