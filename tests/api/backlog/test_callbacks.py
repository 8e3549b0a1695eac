"""A client's server is called back: what it is told, and that nothing it does harms a request."""

from __future__ import annotations

import base64
import hmac
import uuid
from itertools import groupby
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from tests.api.backlog.client import Client, a_client, clients_in, opened
from tests.server import Server, free_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.backlog.client import Json
    from tests.api.backlog.receiver import Call, Receiver

ALL = ["stage 1", "stage 2", "stage 4", "upload", "stage 5"]
TRIES = 3


def settled(client: Client, uid: int, *, what: str = "stage 5", tries: int = 1, timeout: float = 60) -> Json:
    """The record when so many attempts at a message are in its log."""
    found: Json = {}

    def reached() -> bool:
        found.update(client.record(uid))
        return [one["what"] for one in found["deliveries"]].count(what) >= tries

    wait_until(reached, timeout, client.server.log)
    return found


def attempts(record: Json) -> list[tuple[str, int]]:
    """Each message in its order, and how often it was tried."""
    return [(what, len(list(some))) for what, some in groupby(one["what"] for one in record["deliveries"])]


def assert_drawn(client: Client, record: Json) -> None:
    assert "error" not in record
    assert client.picture(record).size == (64, 64)


# --- as it should be -------------------------------------------------------------------------------------


def test_a_client_is_told_of_each_stage_and_sent_the_picture(called: Client, receiver: Receiver) -> None:
    uid = called.add()
    record = settled(called, uid)
    assert receiver.stages == [1, 2, 4, 5]
    assert {(one["uid"], one["token"], one["engine"]) for one in receiver.told} == {
        (uid, called.token, "diffusion")
    }
    picture = receiver.told[2]
    assert picture["filename"] == record["response"][0]["filename"]
    (upload,) = receiver.uploads
    image = upload.parts["image"].get_payload(decode=True)
    assert isinstance(image, bytes)
    assert image == httpx.get(picture["filename"]).content
    assert upload.parts["image"].get_content_type() == "image/png"
    assert upload.fields == {
        "uid": str(uid),
        "token": called.token,
        "cycle": "0",
        "engine": "diffusion",
        "username": picture["username"],
        "filename": picture["filename"].rpartition("/")[2],
    }
    assert upload.parts["image"].get_filename() == upload.fields["filename"]


def test_every_attempt_is_in_the_record(called: Client, receiver: Receiver) -> None:
    record = settled(called, called.add())
    assert attempts(record) == [(what, 1) for what in ALL]
    first = record["deliveries"][0]
    assert list(first) == ["cycle", "what", "url", "at", "attempt", "status", "error", "seconds"]
    assert (first["url"], first["attempt"], first["status"], first["error"]) == (
        *(f"{receiver.url}/notify", 1, 200, ""),
    )


def test_of_several_pictures_each_is_told_and_sent(called: Client, receiver: Receiver) -> None:
    uid = called.add(cimg=3)
    settled(called, uid)
    wait_until(lambda: len(receiver.uploads) == 3 and len(receiver.stages) == 6, 30, called.server.log)
    assert sorted(receiver.stages) == [1, 2, 4, 4, 4, 5]
    sent = {one.fields["cycle"]: one.parts["image"].get_payload(decode=True) for one in receiver.uploads}
    assert sorted(sent) == ["0", "1", "2"]
    for content in sent.values():
        assert isinstance(content, bytes)
        assert opened(content).size == (64, 64)


def test_a_request_that_fails_is_told_so(called: Client, receiver: Receiver) -> None:
    record = settled(called, called.add(word="coin #fail@1"))
    assert receiver.stages == [1, 2, -1, 5]
    assert receiver.told[2]["descr"] == record["error"]
    assert receiver.told[3]["descr"] == "AI stopped with error"
    assert receiver.uploads == []


def test_a_given_picture_is_a_stage(called: Client, receiver: Receiver) -> None:
    made = settled(called, called.add())["response"][0]["filename"]
    receiver.calls.clear()
    settled(called, called.add(url_upload=made))
    assert receiver.stages == [1, 2, 3, 4, 5]


def test_the_first_acknowledged_notification_validates_the_client(called: Client) -> None:
    assert called.notify()["validated_at"] is None
    settled(called, called.add())
    assert called.notify()["validated_at"]


def test_what_is_sent_is_signed(called: Client, receiver: Receiver) -> None:
    settled(called, called.add())
    clients = clients_in(called.server.data_dir)
    key = clients.signing_key(called.token)
    clients.close()

    def signature(call: Call) -> str:
        signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
        return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()

    assert receiver.calls
    assert [one.headers["webhook-signature"] for one in receiver.calls] == [
        signature(one) for one in receiver.calls
    ]
    assert len({one.headers["webhook-id"] for one in receiver.calls}) == len(receiver.calls)


def test_new_settings_are_for_later_requests(called: Client, receiver: Receiver) -> None:
    uid = called.add(steps=40)
    called.notify(uriNotify="", uriUpload="")
    settled(called, uid)
    assert receiver.stages == [1, 2, 4, 5]
    silent = called.end(called.add())
    assert silent["deliveries"] == []
    assert len(receiver.stages) == 4


def test_who_has_no_server_is_not_called(bob: Client) -> None:
    assert bob.end(bob.add())["deliveries"] == []


# --- as bad as it gets -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_server_that_is_down_harms_nothing_and_every_try_is_logged(backlog_server: Server) -> None:
    client = a_client(backlog_server, f"down-{uuid.uuid4()}")
    client.notify(domain=f"127.0.0.1:{free_port()}", uriNotify="/notify", uriUpload="/upload")
    uid = client.add()
    assert_drawn(client, client.end(uid, timeout=10))
    record = settled(client, uid, tries=TRIES, timeout=90)
    assert attempts(record) == [(what, TRIES) for what in ALL]
    assert {one["status"] for one in record["deliveries"]} == {None}
    assert all(one["error"] for one in record["deliveries"])


@pytest.mark.slow
def test_a_server_that_answers_500_harms_nothing_and_every_try_is_logged(
    called: Client, receiver: Receiver
) -> None:
    receiver.status = 500
    uid = called.add()
    assert_drawn(called, called.end(uid, timeout=10))
    record = settled(called, uid, tries=TRIES, timeout=90)
    assert attempts(record) == [(what, TRIES) for what in ALL]
    assert {one["status"] for one in record["deliveries"]} == {500}
    assert len(receiver.calls) == TRIES * len(ALL)
    assert called.notify()["validated_at"] is None


@pytest.mark.slow
def test_a_server_that_is_too_slow_is_given_up(called: Client, receiver: Receiver) -> None:
    receiver.pause = 15
    uid = called.add()
    assert_drawn(called, called.end(uid, timeout=10))
    record = settled(called, uid, what="stage 1", tries=TRIES, timeout=90)
    assert [one["attempt"] for one in record["deliveries"]] == [1, 2, 3]
    for one in record["deliveries"]:
        assert one["status"] is None
        assert 9.5 < one["seconds"] < 13
    receiver.pause = 0
    assert settled(called, uid)["deliveries"][-1]["status"] == 200


def test_a_slow_server_holds_up_nobody(called: Client, receiver: Receiver) -> None:
    receiver.pause = 1.5
    uid = called.add()
    record = called.end(uid, timeout=10)
    assert_drawn(called, record)
    assert len(receiver.stages) < 4
    assert attempts(settled(called, uid)) == [(what, 1) for what in ALL]


@pytest.mark.slow
def test_a_server_that_hangs_up_in_the_middle_of_its_answer_is_asked_again(
    called: Client, receiver: Receiver
) -> None:
    receiver.half_way = True
    uid = called.add()
    assert_drawn(called, called.end(uid, timeout=10))
    settled(called, uid, what="stage 1", tries=2)
    receiver.half_way = False
    record = settled(called, uid)
    first = [one for one in record["deliveries"] if one["what"] == "stage 1"]
    assert [one["status"] for one in first] == [None, None, 200]
    assert len({one.headers["webhook-id"] for one in receiver.calls[:3]}) == 1


@pytest.mark.slow
def test_a_server_that_disappears_half_way_harms_nothing(called: Client, receiver: Receiver) -> None:
    uid = called.add(steps=100)
    wait_until(lambda: receiver.stages == [1, 2], 30, called.server.log)
    receiver.close()
    assert_drawn(called, called.end(uid))
    record = settled(called, uid, tries=TRIES, timeout=90)
    assert attempts(record) == [*((what, 1) for what in ALL[:2]), *((what, TRIES) for what in ALL[2:])]


def test_a_server_on_a_private_address_is_not_called(tmp_path: Path, receiver: Receiver) -> None:
    with Server(tmp_path) as server:
        client = a_client(server, "inside")
        client.notify(domain=receiver.url, uriNotify="/notify")
        uid = client.add()
        assert_drawn(client, client.end(uid))
        record = settled(client, uid)
    assert attempts(record) == [(f"stage {stage}", 1) for stage in (1, 2, 4, 5)]
    assert {one["status"] for one in record["deliveries"]} == {None}
    assert receiver.calls == []


@pytest.mark.slow
def test_a_kill_of_the_server_loses_no_message(tmp_path: Path, receiver: Receiver) -> None:
    server = Server(tmp_path, fake_step_seconds=0.02, allow_private_urls=1)
    with server:
        client = a_client(server, "unlucky")
        client.notify(domain=receiver.url, uriNotify="/notify", uriUpload="/upload")
        uid = client.add(steps=100)
        wait_until(lambda: receiver.stages == [1, 2], 30, server.log)
        settled(client, uid, what="stage 2")
        server.kill()
        server.start()
        assert_drawn(client, client.end(uid))
        settled(client, uid)
    assert receiver.stages == [1, 2, 4, 5]
    assert len(receiver.uploads) == 1
