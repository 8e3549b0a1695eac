"""The socket of events: who is let in, what is told to whom, whichever process did it."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from diffusionapi.main import create_app
from tests.api.tasks.client import Client, Json, signed_up
from tests.api.tasks.conftest import KEY
from tests.server import Server, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.settings import Settings

ABORTED = ["pending", "started", "aborted"]
FINISHED = ["pending", "started", "finished"]


def kinds(life: list[Json]) -> list[str]:
    return [one["event_type"] for one in life]


@pytest.mark.parametrize(("query", "reason"), [("", "Missing token"), ("?token=x", "Invalid token")])
def test_who_has_no_token_is_turned_away_at_the_door(settings: Settings, query: str, reason: str) -> None:
    # Even where requests need none: there would be nothing to tell tasks apart by.
    public = settings.model_copy(update={"enable_public_access": True})
    with TestClient(create_app(public)) as client:
        with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/events" + query):
            pass
        assert (refused.value.code, refused.value.reason) == (1008, reason)


def test_over_the_wire_the_door_is_shut_by_a_403(bob: Client) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(bob.url.replace("http", "ws") + "/events?token=x"):
        pass
    assert refused.value.response.status_code == 403


def test_frames_are_json_inside_a_json_string_with_the_original_s_blanks(bob: Client) -> None:
    with bob.socket() as events:
        task = bob.submit(prompt="corgi mit Hut für Ähren", steps=2)
        first = events.connection.recv(timeout=20)
        assert first == json.dumps(f'{{"event_type": "pending", "task_id": "{task}"}}')
        events.next()
        last = events.connection.recv(timeout=20)
        assert isinstance(last, str)
        inner = json.loads(last)
        assert inner == json.dumps(json.loads(inner))
        assert inner.isascii()


def test_frames_are_objects_for_who_asks(bob: Client) -> None:
    with bob.socket("&encoding=object") as events:
        assert kinds(events.life(bob.submit(steps=2))) == FINISHED


def test_a_token_in_the_header_of_the_handshake_is_taken_too(bob: Client) -> None:
    address = bob.url.replace("http", "ws") + "/events?token=wrong"
    with connect(address, additional_headers=bob.headers) as connection:
        task = bob.submit(steps=2)
        assert task in str(connection.recv(timeout=20))


def test_the_sockets_of_a_token_all_hear_of_its_tasks_and_others_do_not(bob: Client, ann: Client) -> None:
    with bob.socket() as first, bob.socket() as second, ann.socket() as other:
        task = bob.submit(steps=2)
        assert first.life(task) == second.life(task)
        own = ann.submit(steps=2)
        assert other.next()["task_id"] == own


def test_a_task_that_waits_and_is_cancelled_has_started_and_was_aborted(bob: Client) -> None:
    with bob.socket() as events:
        running = bob.submit(steps=500)
        bob.wait_for(running, "started")
        waiting = bob.submit(steps=500)
        assert bob.event(waiting)["event_type"] == "pending"
        bob.ask("DELETE", f"/task/{waiting}")
        told = [events.next() for _ in range(5)]
        bob.ask("DELETE", f"/task/{running}")
        assert events.next()["event_type"] == "aborted"
    assert kinds([one for one in told if one["task_id"] == waiting]) == ABORTED
    assert kinds([one for one in told if one["task_id"] == running]) == ["pending", "started"]
    # No waiting behind the other one: its end came while that ran.
    assert bob.event(waiting)["reason"] == "Task cancelled by user"


def test_what_happened_before_is_not_told_and_what_happens_next_is(bob: Client) -> None:
    task = bob.submit(steps=500)
    bob.wait_for(task, "started")
    with bob.socket() as events:
        assert events.silent()
        bob.ask("DELETE", f"/task/{task}")
        assert kinds(events.life(task)) == ["aborted"]


def test_many_tasks_at_once_each_have_their_three_events(bob: Client) -> None:
    with bob.socket() as events:
        tasks = [bob.submit(steps=2) for _ in range(10)]
        told = [events.next() for _ in range(30)]
    for task in tasks:
        assert kinds([one for one in told if one["task_id"] == task]) == FINISHED


def test_a_client_that_talks_is_let_talk(bob: Client) -> None:
    with bob.socket() as events:
        events.connection.send("hello")
        events.connection.send(b"\0" * 1000)
        assert kinds(events.life(bob.submit(steps=2))) == FINISHED


def test_a_socket_that_is_closed_is_forgotten(settings: Settings) -> None:
    public = settings.model_copy(update={"enable_public_access": True})
    with TestClient(create_app(public)) as client:
        token = client.post("/token/all").json()["access_token"]
        listeners = client.app.state.tasks.feed._listeners  # type: ignore[attr-defined]  # noqa: SLF001
        with client.websocket_connect(f"/events?token={token}"):
            assert len(listeners) == 1
        wait_until(lambda: not listeners, 5)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Client]]:
    """A user's clients of two servers that share their folders; only the second one works."""
    folder = tmp_path_factory.mktemp("pair")
    settings: Any = {
        "enable_signup": 1,
        "secret_key": KEY,
        "fake_step_seconds": 0.02,
        "job_store": f"file:{folder}/queue",
        "outputs_dir": folder / "outputs",
        "uploads_dir": folder / "uploads",
        "users_file": folder / "users.sqlite",
    }
    with ExitStack() as stack:
        places = [tmp_path_factory.mktemp(name) for name in ("front", "back")]
        servers = [
            stack.enter_context(Server(place, workers=number, **settings))
            for number, place in enumerate(places)
        ]
        first = signed_up(servers[0], f"bob-{uuid.uuid4()}")
        yield [first, Client(servers[1], first.token)]


def test_processes_on_one_folder_tell_of_each_other_s_tasks(pair: list[Client]) -> None:
    front, back = pair
    with front.socket() as of_front, back.socket() as of_back:
        for one in pair:
            task = one.submit(steps=2)
            lives = [of_front.life(task), of_back.life(task)]
            assert [kinds(life) for life in lives] == [FINISHED, FINISHED]
        task = front.submit(steps=500)
        back.wait_for(task, "started")
        assert back.ask("DELETE", f"/task/{task}").status_code == 204
        assert kinds(of_front.life(task)) == kinds(of_back.life(task)) == ABORTED


def test_a_token_of_one_process_is_good_at_another_and_so_are_its_pictures(pair: list[Client]) -> None:
    front, back = pair
    ended = back.end(front.submit(steps=2))
    path = ended["result"]["blob_url"].removeprefix(back.url)
    assert front.get(path).content == back.get(path).content


def test_a_server_that_stops_says_so_and_stops_at_once(tmp_path: Path) -> None:
    with Server(tmp_path, enable_public_access=1) as server:
        token = Client(server).ask("POST", "/token/all").json()["access_token"]
        with Client(server, token).socket() as events:
            assert server.stop() < 10
            with pytest.raises(ConnectionClosed):
                events.connection.recv(timeout=5)
            assert events.connection.close_code == 1012


@pytest.mark.slow
def test_a_task_whose_engine_dies_never_goes_back(tmp_path: Path) -> None:
    with Server(tmp_path, enable_public_access=1, fake_step_seconds=0.05) as server:
        token = Client(server).ask("POST", "/token/all").json()["access_token"]
        client = Client(server, token)
        with client.socket() as events:
            task = client.submit(prompt="#crash@2", steps=3)
            seen = [client.event(task)["event_type"]]

            def ended() -> bool:
                seen.append(client.event(task)["event_type"])
                return "aborted" in seen

            wait_until(ended, 60, server.log)
            life = events.life(task)
        assert kinds(life) == ABORTED
        assert life[-1]["reason"].startswith("Internal error: The engine died 3 times under this job")
        order = [FINISHED.index(one) if one != "aborted" else 2 for one in seen]
        assert order == sorted(order)
