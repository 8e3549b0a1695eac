"""How far a request is, whose it is, how it ends, how long it and its pictures stay."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from tests.api.backlog.client import PRIVATE, Client, a_client, assert_refused, opened
from tests.server import Server, wait_until

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = [
    *("client_token", "uid_backlog", "ai_engine", "params", "started_at", "response", "cost_in_sec"),
    *("ended_at", "deliveries"),
]
PARAMS = [
    *("username", "word", "width", "height", "model", "cimg", "guidance", "strength", "seed", "steps"),
    *("url", "uid_backlog", "client_token"),
]
NO_REQUEST = "Could not find request"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def seconds(of: str) -> float:
    return datetime.fromisoformat(of).timestamp()


def test_a_finished_request_has_all_fields_in_their_order(ann: Client) -> None:
    uid = ann.add(steps=40)
    record = ann.end(uid)
    assert list(record) == FIELDS
    assert list(record["params"]) == PARAMS
    assert (record["client_token"], record["uid_backlog"]) == (ann.token, uid)
    assert (record["params"]["client_token"], record["params"]["uid_backlog"]) == (ann.token, uid)
    assert (record["ai_engine"], record["params"]["username"]) == ("diffusion", "ann.example.com")
    assert all(TIME.fullmatch(record[one]) for one in ("started_at", "ended_at"))
    took = seconds(record["ended_at"]) - seconds(record["started_at"])
    assert took > 0.5
    assert abs(record["cost_in_sec"] - took) <= 0.51
    assert record["deliveries"] == []


def test_a_request_that_waits_has_not_started(tmp_path: Path) -> None:
    with Server(tmp_path, workers=0) as server:
        client = a_client(server, "patient")
        record = client.record(client.add(cimg=2))
    assert list(record) == FIELDS
    assert (record["started_at"], record["ended_at"]) == (None, None)
    assert (record["response"], record["cost_in_sec"]) == ([], 0)


def test_a_request_that_runs_has_started_and_not_ended(bob: Client) -> None:
    uid = bob.add(steps=200)
    wait_until(lambda: bob.record(uid)["started_at"], 30, bob.server.log)
    record = bob.record(uid)
    assert (record["response"], record["ended_at"]) == ([], None)
    bob.ask("DELETE", f"{PRIVATE}/request/{uid}")


def test_pictures_are_answered_as_they_come(bob: Client) -> None:
    uid = bob.add(cimg=3, steps=60)
    seen = [bob.record(uid)]
    while not seen[-1]["response"]:
        seen.append(bob.record(uid))
    record = seen[-1]
    assert record["ended_at"] is None
    assert record["response"][0]["cycle"] == 0
    assert len(bob.end(uid)["response"]) == 3


def test_a_request_that_fails_says_why(bob: Client) -> None:
    record = bob.end(bob.add(word="coin #fail@1"))
    assert list(record) == [*FIELDS[:-1], "error", FIELDS[-1]]
    assert record["response"] == []
    assert "coin" not in record["error"]
    assert record["error"]
    assert record["ended_at"]


def test_it_stays_however_often_it_is_read(bob: Client) -> None:
    uid = bob.add()
    first = bob.end(uid)
    for _ in range(3):
        assert bob.record(uid) == first
        assert bob.picture(first).size == (64, 64)


def test_no_cache_keeps_it(bob: Client) -> None:
    answer = bob.ask("GET", f"{PRIVATE}/request/{bob.add()}")
    assert answer.headers["cache-control"] == "no-cache, no-store"


@pytest.mark.parametrize("uid", ["1", "0", "-1", "1677773592000", "abc", "9" * 40, "1.5", "%20", "٣"])
def test_a_request_that_never_was_is_not_found(bob: Client, uid: str) -> None:
    for method in ("GET", "DELETE"):
        assert_refused(bob.ask(method, f"{PRIVATE}/request/{uid}"), 404, NO_REQUEST)


def test_another_client_s_request_is_denied(bob: Client, ann: Client) -> None:
    uid = bob.add()
    for method in ("GET", "DELETE"):
        answer = ann.ask(method, f"{PRIVATE}/request/{uid}")
        assert_refused(answer, 403, "Not your request, access denied")
    assert bob.end(uid)["response"]


def test_a_running_request_is_taken_back(bob: Client) -> None:
    uid = bob.add(cimg=3, steps=200)
    wait_until(lambda: bob.record(uid)["started_at"], 30, bob.server.log)
    assert bob.ask("DELETE", f"{PRIVATE}/request/{uid}").status_code == 200
    record = bob.end(uid, timeout=5)
    assert (record["response"], record["error"]) == ([], "The request was cancelled")
    again = bob.ask("DELETE", f"{PRIVATE}/request/{uid}")
    assert again.json()["data"] == record


def test_what_is_finished_stays_when_the_rest_is_taken_back(bob: Client) -> None:
    uid = bob.add(cimg=4, steps=30)
    wait_until(lambda: bob.record(uid)["response"], 30, bob.server.log)
    bob.ask("DELETE", f"{PRIVATE}/request/{uid}")
    record = bob.end(uid, timeout=5)
    assert 1 <= len(record["response"]) < 4
    assert bob.picture(record).size == (64, 64)


# --- pictures --------------------------------------------------------------------------------------------


def test_a_picture_has_a_url_that_is_all_it_takes(bob: Client) -> None:
    uid = bob.add(cimg=2)
    record = bob.end(uid)
    for one in record["response"]:
        url = one["filename"]
        assert re.fullmatch(rf"{bob.server.url}/uploads/ai/{uid}_{one['cycle']}_[0-9a-f]{{16}}\.png", url)
        answer = httpx.get(url)
        assert answer.headers["content-type"] == "image/png"
        assert opened(answer.content).size == (64, 64)
        assert httpx.head(url).status_code == 200


def test_a_picture_s_url_cannot_be_guessed(bob: Client) -> None:
    record = bob.end(bob.add())
    url = record["response"][0]["filename"]
    tail = url[-20:-4]
    for wrong in (url.replace(tail, "0" * 16), url.replace(f"_{tail}", ""), url[:-4], url + "x"):
        assert_refused(httpx.get(wrong), 404, "Could not find file")


def test_a_picture_is_not_found_by_its_request_s_number(bob: Client) -> None:
    """Pictures of all APIs lie in one folder; the names there follow from no public number."""
    import uuid

    uid = bob.add()
    bob.end(uid)
    for space in (uuid.NAMESPACE_URL, uuid.NAMESPACE_DNS, uuid.NAMESPACE_OID, uuid.NAMESPACE_X500):
        for name in (f"{uid}/0", f"{uid}", f"{uid}_0"):
            assert bob.ask("GET", f"/images/{uuid.uuid5(space, name)}.png").status_code == 404


def test_links_begin_as_the_operator_says(tmp_path: Path) -> None:
    with Server(tmp_path, base_url="https://pictures.example.com/sd/") as server:
        client = a_client(server, "far")
        record = client.end(client.add())
    assert record["response"][0]["filename"].startswith("https://pictures.example.com/sd/uploads/ai/")


def test_request_and_pictures_go_after_their_time(tmp_path: Path) -> None:
    with Server(tmp_path, job_ttl=1) as server:
        client = a_client(server, "brief")
        uid = client.add(cimg=2)
        record = client.end(uid)
        url = record["response"][0]["filename"]
        assert httpx.get(url).status_code == 200
        gone = lambda: client.ask("GET", f"{PRIVATE}/request/{uid}").status_code == 404  # noqa: E731
        wait_until(gone, 20, server.log)
        assert httpx.get(url).status_code == 404
        wait_until(lambda: not list((tmp_path / "outputs").glob("*.png")), 10, server.log)


def test_a_request_outlives_a_kill_of_its_server(tmp_path: Path) -> None:
    server = Server(tmp_path, fake_step_seconds=0.02)
    with server:
        client = a_client(server, "unlucky")
        uid = client.add(cimg=2, steps=100)
        wait_until(lambda: client.record(uid)["started_at"], 30, server.log)
        server.kill()
        server.start()
        record = client.end(uid)
        assert len(record["response"]) == 2
