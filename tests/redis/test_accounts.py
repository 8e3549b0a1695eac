"""Servers that have nothing in common but a Redis: who is known at one is known at the other."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from diffusionapi.jobs.redis.store import RedisJobStore
from tests.api.v3.teaching import pictures
from tests.factories import NOBODYS
from tests.redis.house import Worker
from tests.server import WEB, Server, clean_environment, wait_until
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx2 as httpx
    from websockets.sync.client import ClientConnection

    from tests.redis_server import RedisServer

SETTINGS: dict[str, Any] = {
    "blobs": "redis:",
    "engine": "fake",
    "enable_signup": 1,
    "allow_private_urls": 1,
    "v3_wait": 0,
    "v3_repeats": 0,
    "login_attempts": 100,
    "fake_step_seconds": 0.05,
}
PRIVATE = "/api/v1/private/client"
ANSWERED = 2.0


class Machines:
    """Two servers, each in a folder of its own, and a third machine with the command line."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self._settings = SETTINGS | {"job_store": redis.url}
        self.folder = folder
        self.servers = [Server(self._a_folder(name), workers=0, **self._settings) for name in ("a", "b")]
        self._operators = self._a_folder("operators")

    def keys(self, *arguments: str) -> str:
        """`python -m diffusionapi.keys`; what it says."""
        return subprocess.run(
            [sys.executable, "-m", "diffusionapi.keys", *arguments],
            env=clean_environment(self._operators, **self._settings),
            cwd=self._operators,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def a_client(self, name: str, *options: str) -> dict[str, str]:
        """What is said of a new client of the backlog API, by its names."""
        made = self.keys("client", "make", name, *options)
        return {line.split()[0]: line.split()[1] for line in made.splitlines()}

    def a_worker(self) -> Worker:
        return Worker(self.folder / "worker", **self._settings)

    def log(self) -> str:
        return "\n".join(one.log() for one in self.servers)

    def _a_folder(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Machines]:
    machines = Machines(tmp_path_factory.mktemp("machines"), redis_server)
    with ExitStack() as running:
        for server in machines.servers:
            running.enter_context(server)
        yield machines


def sign_up(server: Server, name: str, password: str) -> int:
    return WEB.post(f"{server.url}/user", json={"username": name, "password": password}).status_code


def log_in(server: Server, name: str, password: str) -> httpx.Response:
    return WEB.post(f"{server.url}/token", data={"username": name, "password": password})


def is_let_in(server: Server, token: str) -> bool:
    status = server.get(f"/task/{NOBODYS}", headers={"Authorization": f"Bearer {token}"}).status_code
    assert status in (401, 404)
    return status == 404


def v3(server: Server, path: str, key: str, **fields: object) -> dict[str, Any]:
    answer = WEB.post(f"{server.url}/api/v3/{path}", json={"key": key} | fields)
    found: dict[str, Any] = answer.json()
    return found


def opens(server: Server, key: str) -> bool:
    return "Invalid Api Key" not in str(v3(server, "fetch/1", key))


def log_in_as_client(server: Server, client: dict[str, str]) -> httpx.Response:
    body = {"token": client["token"], "secret": client["secret"]}
    return WEB.post(f"{server.url}/api/v1/public/client/login", json=body)


def test_the_first_key_and_client_are_made_and_shown_by_one_server(machines: Machines) -> None:
    assert machines.log().count("API key:") == 1
    assert machines.log().count("Client:") == 1
    key = machines.log().partition("API key:")[2].split(";")[0].strip()
    assert all(opens(server, key) for server in machines.servers)


def test_who_signs_up_at_one_logs_in_at_the_other_and_is_known_to_both(machines: Machines) -> None:
    one, other = machines.servers
    assert sign_up(one, "bob", "right") == 200
    assert sign_up(other, "bob", "another") == 409
    assert log_in(other, "bob", "wrong").status_code == 401
    for server in machines.servers:
        token = log_in(server, "bob", "right").json()["access_token"]
        assert is_let_in(one, token)
        assert is_let_in(other, token)
        assert not is_let_in(one, token[:-4] + "AAAA")
    assert [path.name for server in machines.servers for path in server.data_dir.glob("*.sqlite*")] == []


def test_of_twenty_who_sign_up_by_one_name_one_wins(machines: Machines) -> None:
    with ThreadPoolExecutor(20) as threads:
        said = list(threads.map(lambda n: sign_up(machines.servers[n % 2], "ann", str(n)), range(20)))
    assert sorted(said) == [200] + [409] * 19
    winner = str(said.index(200))
    assert all(log_in(server, "ann", winner).status_code == 200 for server in machines.servers)


def test_a_key_of_the_command_line_opens_both_and_neither_once_it_is_revoked(machines: Machines) -> None:
    key = machines.keys("make", "phone").strip()
    assert "phone" in machines.keys("list")
    assert [opens(server, key) for server in machines.servers] == [True, True]
    machines.keys("revoke", "phone")
    assert [opens(server, key) for server in machines.servers] == [False, False]


def test_a_client_logs_in_anywhere_and_its_session_and_settings_are_good_everywhere(
    machines: Machines,
) -> None:
    one, other = machines.servers
    client = machines.a_client("shop", "--domain", "https://shop.test")
    session = log_in_as_client(other, client).json()["data"]["authToken"]
    headers = {"Authorization": f"Bearer {session}"}
    WEB.patch(f"{one.url}{PRIVATE}/notify", json={"uriNotify": "/told"}, headers=headers)
    found = other.get(PRIVATE, headers=headers).json()["data"]
    assert (found["domain"], found["uriNotify"]) == ("https://shop.test", "/told")
    assert client["signing"] in machines.keys("client", "show", "shop")
    machines.keys("client", "revoke", "shop")
    assert [log_in_as_client(server, client).status_code for server in machines.servers] == [404, 404]
    assert one.get(PRIVATE, headers=headers).status_code == 400


def test_a_training_that_was_asked_for_at_one_is_its_owners_at_the_other(machines: Machines) -> None:
    one, other = machines.servers
    key, strangers = machines.keys("make", "trainer").strip(), machines.keys("make", "stranger").strip()
    begun = v3(one, "fine_tune", key, instance_prompt="photo of sks dog", images=pictures(3))
    training_id = begun["training_id"]
    assert v3(other, f"fine_tune_status/{training_id}", key)["status"] == "success"
    assert v3(other, f"fine_tune_status/{training_id}", strangers)["status"] == "error"
    assert v3(other, "finetune_list", key)["data"] == [training_id]
    assert v3(other, "finetune_list", strangers)["data"] == []
    assert v3(other, f"cancel_training/{training_id}", key)["status"] == "success"
    assert v3(other, "finetune_list", key)["data"] == []


@pytest.mark.timeout(180)
def test_what_a_killed_server_had_not_told_yet_is_told_by_the_other(
    machines: Machines, redis_server: RedisServer
) -> None:
    """Also of jobs that ended while nobody was there, and nothing twice but what was under way."""
    with Receiver() as receiver, closing(RedisJobStore(redis_server.url)) as store:
        client = machines.a_client(
            "told", "--domain", receiver.url, "--notify", "/told", "--upload", "/pictures"
        )
        headers = {"Authorization": f"Bearer {client['token']}"}

        def ask(server: Server, steps: int) -> int:
            body = {"word": "a coin", "width": 64, "height": 64, "steps": steps}
            answer = WEB.post(f"{server.url}{PRIVATE}/ai/diffusion", json=body, headers=headers)
            uid: int = answer.json()["data"]["uid"]
            return uid

        uids = [ask(machines.servers[0], steps=60)]
        wait_until(lambda: "told 'stage 1'" in machines.log(), 30, machines.log)
        teller, other = sorted(machines.servers, key=lambda one: "told 'stage 1'" not in one.log())
        teller.kill()
        uids += [ask(other, steps=2), ask(other, steps=2)]
        other.kill()
        worker = machines.a_worker()
        try:
            wait_until(lambda: not list(store.living()), 60, worker.log)
            other.start()
            expected = {(uid, stage) for uid in uids for stage in (1, 2, 4, 5)}
            wait_until(lambda: told(receiver) == expected, 60, machines.log)
            wait_until(lambda: receiver.paths().count("/pictures") == len(uids), 20, machines.log)
        finally:
            worker.kill()
            for server in (one for one in machines.servers if one.process is None):
                server.start()
        ids = [one.headers["webhook-id"] for one in receiver.received]
        assert len(set(ids)) == 5 * len(uids)
        assert len(ids) - len(set(ids)) <= 1
        for server in machines.servers:
            found = server.get(f"{PRIVATE}/request/{uids[0]}", headers=headers).json()["data"]
            stages = ["stage 1", "stage 2", "stage 4", "upload", "stage 5"]
            assert [one["what"] for one in found["deliveries"]] == stages


def told(receiver: Receiver) -> set[tuple[int, int]]:
    return {(one.json["uid"], one.json["stage"]) for one in receiver.received if one.path == "/told"}


def test_a_restart_of_all_keeps_everybody(machines: Machines, redis_server: RedisServer) -> None:
    one = machines.servers[0]
    sign_up(one, "carl", "right")
    token = log_in(one, "carl", "right").json()["access_token"]
    key, client = machines.keys("make", "kept").strip(), machines.a_client("kept")
    for server in machines.servers:
        server.kill()
    redis_server.restart()
    for server in machines.servers:
        server.start()
        assert is_let_in(server, token)
        assert opens(server, key)
        assert log_in(server, "carl", "right").status_code == 200
        assert log_in_as_client(server, client).status_code == 201
    assert machines.log().count("API key:") == 1


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_without_redis_nobody_is_let_in_or_refused_and_all_are_told_to_come_again(
    machines: Machines, redis_server: RedisServer, how: str
) -> None:
    one = machines.servers[0]
    name = f"dora-{how}"
    sign_up(one, name, "right")
    token = log_in(one, name, "right").json()["access_token"]
    key, client = machines.keys("make", name).strip(), machines.a_client(name)
    bearer = {"Authorization": f"Bearer {token}"}
    redis_server.kill() if how == "kill" else redis_server.freeze()
    try:
        for server in machines.servers:
            asks: list[Callable[[Server], httpx.Response]] = [
                lambda at: log_in(at, name, "right"),
                lambda at: log_in(at, name, "wrong"),
                lambda at: WEB.post(f"{at.url}/user", json={"username": "emil", "password": "x"}),
                lambda at: at.get(f"/task/{NOBODYS}", headers=bearer),
                lambda at: log_in_as_client(at, client),
                lambda at: at.get(PRIVATE, headers={"Authorization": f"Bearer {client['token']}"}),
                lambda at: WEB.post(f"{at.url}/api/v3/fetch/1", json={"key": key}),
                lambda at: WEB.post(f"{at.url}/api/v3/fetch/1", json={"key": "wrong"}),
            ]
            for number, ask in enumerate(asks):
                began = time.monotonic()
                answer = ask(server)
                assert time.monotonic() - began < ANSWERED, number
                assert answer.headers["Retry-After"] == "2", answer.text
                v3_speaks = "/api/v3/" in str(answer.url)
                assert answer.status_code == (200 if v3_speaks else 503), answer.text
                assert "Invalid Api Key" not in answer.text
            assert stream_closed_with(server, key) == 1013
            began = time.monotonic()
            with pytest.raises(InvalidStatus) as refused, events_of(server, token):
                pass
            assert time.monotonic() - began < ANSWERED
            answer_of_socket = refused.value.response
            assert (answer_of_socket.status_code, answer_of_socket.headers["Retry-After"]) == (503, "2")
    finally:
        redis_server.start() if how == "kill" else redis_server.thaw()
    for server in machines.servers:
        wait_until(lambda at=server: log_in(at, name, "right").status_code == 200, 10, machines.log)
        wait_until(lambda at=server: is_let_in(at, token) and opens(at, key), 10, machines.log)
        wait_until(lambda at=server: hears_of_its_tasks(at, token), 10, machines.log)
    assert "Traceback" not in machines.log()
    assert "handshake" not in machines.log()


def events_of(server: Server, token: str) -> ClientConnection:
    return connect(f"{server.url.replace('http', 'ws', 1)}/events?token={token}")


def hears_of_its_tasks(server: Server, token: str) -> bool:
    """Its own, at once; False when it is not let in yet."""
    try:
        events = events_of(server, token)
    except InvalidStatus as refused:
        assert refused.response.status_code == 503
        return False
    with events:
        headers, body = {"Authorization": f"Bearer {token}"}, {"prompt": "x", "width": 64, "height": 64}
        task = WEB.post(f"{server.url}/task", json=body, headers=headers).json()
        return task in str(events.recv(timeout=10))


def stream_closed_with(server: Server, key: str) -> int:
    url, headers = server.url.replace("http", "ws", 1) + "/generate", {"Authorization": f"Bearer {key}"}
    with connect(url, additional_headers=headers) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code
