"""What a client's server hears of its jobs, whatever that server does; and that no job ever minds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.folder import FolderBlobs
from diffusionapi.core.events import Finished, Picture, Started
from diffusionapi.core.job import JobState
from diffusionapi.errors import StorageUnavailable
from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.webhooks.courier import Courier, Pace
from diffusionapi.webhooks.delivery import Patience
from tests.factories import a_ticket
from tests.server import free_port, wait_until
from tests.webhooks.receiver import HALF, HANG, VANISH, Receiver
from tests.webhooks.tale import DIALECT, Tale, a_told_ticket
from tests.webhooks.teller import telling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.jobs.store import JobStore
    from diffusionapi.settings import Settings
    from diffusionapi.webhooks.journal import Try
    from diffusionapi.webhooks.message import Message, Outgoing

PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)
QUICK = Patience(timeout=10, pauses=(0.05, 0.1))
HASTY = Patience(timeout=0.5, pauses=(0.05, 0.1))
"""For those who never answer; on a busy machine others may be as late."""
PACE = Pace(look=0.005, retry=0.02, upkeep=0.05)
ALL = ["/accepted", "/started", "/ended"]


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    store = MemoryJobStore() if request.param == "memory" else FileJobStore(tmp_path / "queue")
    yield store
    store.close()


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[FileJobStore]:
    store = FileJobStore(tmp_path / "queue")
    yield store
    store.close()


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "outputs")


@pytest.fixture
def open_settings(settings: Settings) -> Settings:
    """The receivers of these tests are at private addresses."""
    return settings.model_copy(update={"allow_private_urls": True})


@contextmanager
def running(
    settings: Settings,
    store: JobStore,
    blobs: FolderBlobs,
    outgoing: Outgoing | None = None,
    patience: Patience = QUICK,
) -> Iterator[Courier]:
    courier = Courier(settings, store, blobs, {DIALECT: outgoing or Tale()}, patience=patience, pace=PACE)
    courier.start()
    try:
        yield courier
    finally:
        courier.stop()
        courier.join()


def run_to_the_end(store: JobStore) -> None:
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    claim.record(Finished(PICTURE))
    claim.release()


def settled(courier: Courier, job_id: str, what: str = "ended") -> list[Try]:
    """The log, when the last message has been told or given up."""

    def done() -> bool:
        tries = [one for one in courier.log(job_id) if one.what == what]
        return bool(tries) and (not tries[-1].error or tries[-1].attempt == QUICK.tries)

    wait_until(done, 20, lambda: courier.log(job_id))
    return courier.log(job_id)


def test_a_server_hears_of_a_job_from_beginning_to_end(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    tale = Tale()
    with Receiver() as receiver, running(open_settings, store, blobs, tale) as courier:
        ticket = a_told_ticket(receiver.url)
        store.submit(ticket, limit=9)
        wait_until(lambda: receiver.paths() == ALL[:1], 10)
        run_to_the_end(store)
        log = settled(courier, ticket.id)
        assert receiver.paths() == ALL
        assert [one.json for one in receiver.received] == [
            {"job": ticket.id, "what": what} for what in ("accepted", "started", "ended")
        ]
        wait_until(lambda: tale.acknowledged == ["accepted", "started", "ended"], 5)
    assert [(one.number, one.what, one.attempt, one.status, one.error) for one in log] == [
        (1, "accepted", 1, 200, ""),
        (2, "started", 1, 200, ""),
        (4, "ended", 1, 200, ""),
    ]
    assert all(one.url.startswith(receiver.url) and one.seconds < 5 for one in log)


def test_other_dialects_jobs_are_nobodys_business(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    with Receiver() as receiver, running(open_settings, store, blobs) as courier:
        other = replace(a_told_ticket(receiver.url), dialect="primary")
        store.submit(other, limit=9)
        ticket = a_told_ticket(receiver.url)
        store.submit(ticket, limit=9)
        wait_until(lambda: courier.log(ticket.id), 10)
        assert courier.log(other.id) == []
        assert len(receiver.received) == 1


def test_a_message_is_signed_and_says_who_it_comes_from(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    key = b"k" * 32
    with Receiver({"/accepted": [500, 200]}) as receiver, running(open_settings, store, blobs, Tale(key)):
        ticket = a_told_ticket(receiver.url)
        store.submit(ticket, limit=9)
        wait_until(lambda: len(receiver.received) == 2, 10)
    for one in receiver.received:
        identity, moment = one.headers["webhook-id"], one.headers["webhook-timestamp"]
        assert identity == f"{ticket.id}-1"
        assert abs(int(moment) - one.at) < 5
        digest = hmac.new(key, f"{identity}.{moment}.".encode() + one.body, hashlib.sha256).digest()
        assert one.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        assert one.headers["content-type"] == "application/json"
        assert one.headers["user-agent"].startswith("diffusionapi/")


def test_a_form_carries_the_picture_after_its_words(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    blobs.put(PICTURE.name, b"\x89PNG picture")
    with Receiver() as receiver, running(open_settings, store, blobs) as courier:
        ticket = a_told_ticket(receiver.url, picture=True)
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        settled(courier, ticket.id)
    (one,) = [one for one in receiver.received if one.path == "/picture"]
    assert one.form == {
        "uid": (None, "text/plain", "ünï".encode()),
        "image": ("a.png", "image/png", b"\x89PNG picture"),
    }
    assert list(one.form) == ["uid", "image"]


def test_a_picture_that_is_gone_is_said_so_once_and_the_rest_is_told(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    with Receiver() as receiver, running(open_settings, store, blobs) as courier:
        ticket = a_told_ticket(receiver.url, picture=True)
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        log = settled(courier, ticket.id)
    assert [(one.what, one.error) for one in log if one.error] == [("picture", "its picture is gone")]
    assert receiver.paths() == ALL


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (500, 500, "status 500"),
        (404, 404, "status 404"),
        ("/elsewhere", 302, "status 302"),
        ("http://10.0.0.1/", 302, "status 302"),
        (HALF, None, "RemoteProtocolError"),
        (VANISH, None, "Error"),
    ],
)
def test_three_tries_are_made_and_logged_and_the_job_ends_well(
    open_settings: Settings,
    store: JobStore,
    blobs: FolderBlobs,
    answer: object,
    status: int | None,
    error: str,
) -> None:
    answers = dict.fromkeys(ALL, answer)
    with Receiver(answers) as receiver, running(open_settings, store, blobs) as courier:
        ticket = a_told_ticket(receiver.url)
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        assert store.progress(ticket.id).state is JobState.DONE
        log = settled(courier, ticket.id)
        assert [(one.number, one.attempt, one.status) for one in log] == [
            (number, attempt, status) for number in (1, 2, 4) for attempt in (1, 2, 3)
        ]
        assert all(error in one.error for one in log)
        assert sorted(receiver.paths()) == sorted(ALL * 3)  # and nobody was led elsewhere
        pauses = [after.at - one.at - one.seconds for one, after in pairwise(log)]
        assert all(pause >= 0.04 for pause, one in zip(pauses, log, strict=False) if one.attempt == 1)
        assert all(pause >= 0.09 for pause, one in zip(pauses, log, strict=False) if one.attempt == 2)


def test_a_server_that_never_answers_is_tried_three_times(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    with (
        Receiver(dict.fromkeys(ALL, HANG)) as receiver,
        running(open_settings, store, blobs, patience=HASTY) as courier,
    ):
        ticket = a_told_ticket(receiver.url)
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        assert store.progress(ticket.id).state is JobState.DONE
        log = settled(courier, ticket.id)
    assert [(one.number, one.attempt, one.status, one.error) for one in log] == [
        (number, attempt, None, "no answer within 0.5 s") for number in (1, 2, 4) for attempt in (1, 2, 3)
    ]


def test_a_server_that_is_down_is_tried_three_times(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    with running(open_settings, store, blobs) as courier:
        ticket = a_told_ticket(f"http://127.0.0.1:{free_port()}")
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        log = settled(courier, ticket.id)
    assert len(log) == 9
    assert all("ConnectError" in one.error and one.status is None for one in log)


def test_a_server_that_comes_back_hears_the_rest(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    tale = Tale()
    with (
        Receiver({"/accepted": [500, HALF, 204]}) as receiver,
        running(open_settings, store, blobs, tale) as courier,
    ):
        ticket = a_told_ticket(receiver.url)
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        log = settled(courier, ticket.id)
    assert [(one.what, one.attempt, one.status) for one in log] == [
        ("accepted", 1, 500),
        ("accepted", 2, None),
        ("accepted", 3, 204),
        ("started", 1, 200),
        ("ended", 1, 200),
    ]
    assert tale.acknowledged == ["accepted", "started", "ended"]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}",
        "http://localhost:{port}",
        "http://[::1]:{port}",
        "http://169.254.169.254",
        "http://93.184.216.34:22",
        "ftp://127.0.0.1:{port}",
        "file:///etc/passwd#",
        "http://user:word@93.184.216.34",
        "http://",
        "shop",
        "http://[",
    ],
)
def test_a_forbidden_target_is_not_called_and_not_tried_again(
    settings: Settings, store: JobStore, blobs: FolderBlobs, target: str
) -> None:
    with Receiver() as receiver, running(settings, store, blobs) as courier:
        ticket = a_told_ticket(target.format(port=receiver.port))
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        wait_until(lambda: len(courier.log(ticket.id)) == 3, 10, lambda: courier.log(ticket.id))
        assert receiver.received == []
        assert {one.error for one in courier.log(ticket.id)} == {
            "this target may not be called, or there is no such host"
        }


def test_jobs_are_told_side_by_side_and_a_server_that_hangs_holds_up_nobody_else(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    with (
        Receiver({"/accepted": HANG}) as deaf,
        Receiver() as receiver,
        running(open_settings, store, blobs, patience=Patience(timeout=5)),
    ):
        for _ in range(40):
            store.submit(a_told_ticket(deaf.url), limit=99)
        wait_until(lambda: deaf.received, 5)
        began = time.monotonic()
        for _ in range(10):
            store.submit(a_told_ticket(receiver.url), limit=99)
        wait_until(lambda: len(receiver.received) == 10, 5)
        assert time.monotonic() - began < 4
        assert len(deaf.received) == 4  # at once, to one host


def test_a_stop_does_not_wait_for_a_server_that_hangs(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    with Receiver({"/accepted": HANG}) as deaf:
        with running(open_settings, store, blobs, patience=Patience(timeout=60)):
            store.submit(a_told_ticket(deaf.url), limit=9)
            wait_until(lambda: deaf.received, 5)
            began = time.monotonic()
        assert time.monotonic() - began < 3


def test_a_restart_goes_on_where_the_last_one_was(
    open_settings: Settings, file_store: FileJobStore, blobs: FolderBlobs
) -> None:
    """Nothing acknowledged is told again, what was tried is not forgotten, what happened since is told."""
    with Receiver({"/started": 500}) as receiver:
        ticket = a_told_ticket(receiver.url)
        slow = Patience(timeout=10, pauses=(0.05, 30))
        with running(open_settings, file_store, blobs, patience=slow) as courier:
            file_store.submit(ticket, limit=9)
            claim = file_store.claim()
            assert claim is not None
            claim.record(Started(1, "w"))
            wait_until(lambda: len(courier.log(ticket.id)) == 3, 10)
        claim.record(Finished(PICTURE))
        claim.release()
        with running(open_settings, file_store, blobs) as courier:
            log = settled(courier, ticket.id)
        assert [(one.what, one.attempt) for one in log] == [
            ("accepted", 1),
            ("started", 1),
            ("started", 2),
            ("started", 3),
            ("ended", 1),
        ]
        with running(open_settings, file_store, blobs) as courier:
            other = a_told_ticket(receiver.url)
            file_store.submit(other, limit=9)
            wait_until(lambda: courier.log(other.id), 10)
            assert courier.log(ticket.id) == log
        assert [one.json["job"] for one in receiver.received].count(ticket.id) == 5


def test_jobs_that_came_and_went_while_nobody_told_are_told(
    open_settings: Settings, file_store: FileJobStore, blobs: FolderBlobs
) -> None:
    with Receiver() as receiver:
        with running(open_settings, file_store, blobs) as courier:
            first = a_told_ticket(receiver.url)
            file_store.submit(first, limit=9)
            run_to_the_end(file_store)
            settled(courier, first.id)
        second = a_told_ticket(receiver.url)
        file_store.submit(second, limit=9)
        run_to_the_end(file_store)
        with running(open_settings, file_store, blobs) as courier:
            settled(courier, second.id)
        assert receiver.paths() == ALL * 2


def test_of_two_processes_one_tells_and_the_other_takes_over(
    open_settings: Settings, file_store: FileJobStore, blobs: FolderBlobs
) -> None:
    others_store = FileJobStore(file_store.folder)
    with Receiver() as receiver, running(open_settings, others_store, blobs) as other:
        with running(open_settings, file_store, blobs):
            for _ in range(20):
                file_store.submit(a_told_ticket(receiver.url), limit=99)
            wait_until(lambda: len(receiver.received) == 20, 10)
        ticket = a_told_ticket(receiver.url)
        file_store.submit(ticket, limit=99)
        wait_until(lambda: other.log(ticket.id), 10)
        assert len(receiver.received) == 21
    others_store.close()


def test_a_killed_process_leaves_nothing_untold_and_tells_nothing_twice_that_was_acknowledged(
    open_settings: Settings, file_store: FileJobStore, blobs: FolderBlobs, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        tickets = [a_told_ticket(receiver.url) for _ in range(60)]
        with telling(tmp_path, "file:queue"):
            for ticket in tickets:
                file_store.submit(ticket, limit=99)
            wait_until(lambda: receiver.received, 30)
            for _ in tickets:
                run_to_the_end(file_store)
            wait_until(lambda: len(receiver.received) > 70, 30)
        reader = Courier(open_settings, file_store, blobs, {})
        logged = {(ticket.id, one.number) for ticket in tickets for one in reader.log(ticket.id)}
        reader.join()
        before = len(receiver.received)
        assert before < 180
        with running(open_settings, file_store, blobs) as courier:
            for ticket in tickets:
                settled(courier, ticket.id)
        told = [one.headers["webhook-id"] for one in receiver.received]
        assert len(set(told)) == 180
        again = {one for one in told if told.count(one) > 1}
        assert not again & {f"{job_id}-{number}" for job_id, number in logged}
        assert len(again) <= 32  # those that were under way


def test_the_log_goes_with_the_job(open_settings: Settings, store: JobStore, blobs: FolderBlobs) -> None:
    with Receiver() as receiver, running(open_settings, store, blobs) as courier:
        kept, gone = a_told_ticket(receiver.url), a_told_ticket(receiver.url)
        for ticket in (kept, gone):
            store.submit(ticket, limit=9)
            run_to_the_end(store)
            settled(courier, ticket.id)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("diffusionapi.jobs.memory.TOMBSTONE_SECONDS", -1)
            patch.setattr("diffusionapi.jobs.file.TOMBSTONE_SECONDS", -1)
            store.forget(gone.id)
            store.sweep(ended_before=0)
        wait_until(lambda: not courier.log(gone.id), 10)
        assert courier.log(kept.id)


class _Broken(Tale):
    """Does not know what to say of some jobs, and fails at noting what was told."""

    def messages(self, ticket: Ticket, progress: Progress) -> list[Message]:
        if ticket.payload.get("broken"):
            raise RuntimeError("a defect")
        return super().messages(ticket, progress)

    def delivered(self, ticket: Ticket, message: Message) -> None:
        super().delivered(ticket, message)
        raise StorageUnavailable("a full disk") if message.number == 1 else RuntimeError("a defect")


def test_a_defect_in_one_job_leaves_the_others(
    open_settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    tale = _Broken()
    with Receiver() as receiver, running(open_settings, store, blobs, tale) as courier:
        store.submit(a_told_ticket(receiver.url, broken=True), limit=9)
        ticket = a_told_ticket(receiver.url)
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        run_to_the_end(store)
        settled(courier, ticket.id)
        wait_until(lambda: len(tale.acknowledged) == 3, 5)
        assert receiver.paths() == ALL


def test_without_anything_to_tell_nothing_is_started_or_made(
    settings: Settings, file_store: FileJobStore, blobs: FolderBlobs
) -> None:
    courier = Courier(settings, file_store, blobs, {})
    threads = threading.active_count()
    courier.start()
    assert threading.active_count() == threads
    courier.stop()
    courier.join()
    assert not list(file_store.folder.glob("webhooks*"))


def test_the_log_of_a_job_that_nobody_told_of_is_empty(
    settings: Settings, store: JobStore, blobs: FolderBlobs
) -> None:
    courier = Courier(settings, store, blobs, {})
    assert courier.log(a_ticket().id) == []
    courier.join()
