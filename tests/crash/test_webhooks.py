"""What servers of clients hear when ours are killed, and that jobs end well whatever those servers do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest

from diffusionapi.auth.clients import Clients
from diffusionapi.settings import Settings
from tests.crash.test_workers import worker
from tests.server import Server, free_port, wait_until
from tests.webhooks.receiver import HALF, HANG, VANISH, Receiver

if TYPE_CHECKING:
    from pathlib import Path

_PRIVATE = "/api/v1/private/client"


class Shop:
    """A client of the backlog API whose server is at `url`."""

    def __init__(self, data_dir: Path, url: str) -> None:
        clients = Clients(Settings(data_dir=data_dir))
        client, _ = clients.make("shop", url)
        clients.change(client.token, uri_notify="/told", uri_upload="/pictures")
        clients.close()
        self._headers = {"Authorization": f"Bearer {client.token}"}

    def ask(self, server: Server, **fields: object) -> int:
        answer = httpx.post(
            f"{server.url}{_PRIVATE}/ai/diffusion",
            json={"word": "a coin", "width": 64, "height": 64} | fields,
            headers=self._headers,
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        uid: int = answer.json()["data"]["uid"]
        return uid

    def look(self, server: Server, uid: int) -> dict[str, Any]:
        answer = server.get(f"{_PRIVATE}/request/{uid}", headers=self._headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found


def told(receiver: Receiver) -> set[tuple[int, int]]:
    return {
        (one.json["uid"], one.json["stage"]) for one in receiver.received if one.path == "/told" and one.body
    }


def test_a_killed_server_goes_on_telling_where_it_was(tmp_path: Path) -> None:
    with (
        Receiver() as receiver,
        Server(tmp_path, allow_private_urls=1, fake_step_seconds=0.005) as server,
    ):
        shop = Shop(tmp_path, receiver.url)
        uids = [shop.ask(server, steps=4) for _ in range(12)]
        expected = {(uid, stage) for uid in uids for stage in (1, 2, 4, 5)}
        for seen in (5, 20, 35):
            wait_until(lambda: len(receiver.received) > seen, 60, server.log)  # noqa: B023 - waited for here
            server.kill()
            server.start()
        wait_until(lambda: told(receiver) == expected, 60, server.log)
        wait_until(lambda: receiver.paths().count("/pictures") >= 12, 60, server.log)
        deliveries = [one for uid in uids for one in shop.look(server, uid)["deliveries"]]
        assert all(one["status"] == 200 for one in deliveries)
        assert len(deliveries) == 60
        # A kill may come between an acknowledgement and its note: once for each that was under way.
        assert len(receiver.received) <= 60 + 3 * 4


def test_messages_are_told_by_a_worker_when_the_server_is_gone(tmp_path: Path) -> None:
    with (
        Receiver() as receiver,
        Server(tmp_path, allow_private_urls=1, workers=0) as server,
        worker(tmp_path, allow_private_urls=1, fake_step_seconds=0.05),
    ):
        shop = Shop(tmp_path, receiver.url)
        uid = shop.ask(server, steps=40)
        wait_until(lambda: (uid, 2) in told(receiver), 60, server.log)
        server.kill()
        wait_until(lambda: (uid, 5) in told(receiver), 60)
        assert told(receiver) == {(uid, stage) for stage in (1, 2, 4, 5)}


@pytest.mark.parametrize("answer", [500, HALF, VANISH, HANG, "http://10.0.0.1/"])
def test_the_request_ends_well_and_its_log_shows_each_try(tmp_path: Path, answer: object) -> None:
    answers = {"/told": [answer, 200], "/pictures": [answer, 200]}
    with (
        Receiver(answers) as receiver,
        Server(tmp_path, allow_private_urls=1, fake_step_seconds=0) as server,
    ):
        shop = Shop(tmp_path, receiver.url)
        uid = shop.ask(server, steps=4)
        wait_until(lambda: shop.look(server, uid)["ended_at"], 20, server.log)
        found = shop.look(server, uid)
        assert len(found["response"]) == 1
        assert "error" not in found
        wait_until(lambda: (uid, 5) in told(receiver), 60, server.log)
        wait_until(lambda: len(shop.look(server, uid)["deliveries"]) == 7, 60, server.log)
        log = [(one["what"], one["attempt"], one["status"]) for one in shop.look(server, uid)["deliveries"]]
        failed = {500: 500, "http://10.0.0.1/": 302}.get(answer) if isinstance(answer, int | str) else None
        assert log[:2] == [("stage 1", 1, failed), ("stage 1", 2, 200)]
        assert [one for one in log if one[0] == "upload"] == [("upload", 1, failed), ("upload", 2, 200)]


def test_a_target_that_is_down_or_private_changes_nothing_for_the_request(tmp_path: Path) -> None:
    with Server(tmp_path, fake_step_seconds=0) as server:
        shop = Shop(tmp_path, f"http://127.0.0.1:{free_port()}")
        uid = shop.ask(server, steps=4)
        wait_until(lambda: len(shop.look(server, uid)["deliveries"]) == 5, 30, server.log)
        found = shop.look(server, uid)
        assert len(found["response"]) == 1
        assert all(one["attempt"] == 1 and one["status"] is None for one in found["deliveries"])
        assert "it must lead to port" in server.log()
        assert "it must lead to port" not in str(found)
