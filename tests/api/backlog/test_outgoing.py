"""Which messages are due at which point of a request's life: a function of its tickets and their progress."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.api.backlog import translate
from diffusionapi.api.backlog.outgoing import BacklogOutgoing
from diffusionapi.api.backlog.schemas import DiffusionRequest
from diffusionapi.api.backlog.translate import Place
from diffusionapi.auth.clients import Clients
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.core.events import Cancelled, Failed, Failure, Finished, Picture, Queued, Started
from diffusionapi.core.job import Progress, Ticket
from diffusionapi.jobs.memory import MemoryJobStore

if TYPE_CHECKING:
    from diffusionapi.core.events import Event
    from diffusionapi.settings import Settings
    from diffusionapi.webhooks.message import Message

UID = 1678361974000
BEGAN = 1_700_000_000.0
STARTED = Started(1, "w")
FAILED = Failed(Failure("x", "It broke"))


def finished(ticket: Ticket) -> Finished:
    return Finished(Picture(f"{ticket.id}.png", "png", 64, 64, None, 1, "fake", 1.5, 0, 0))


@dataclass
class Story:
    """A request whose jobs the test moves, a second an event."""

    outgoing: BacklogOutgoing
    store: MemoryJobStore
    tickets: list[Ticket]

    def after(self, cycle: int, *events: Event) -> list[Message]:
        progress = Progress()
        for second, event in enumerate(events):
            progress = progress.evolve(event, BEGAN + second)
        return self.outgoing.messages(self.tickets[cycle], progress)

    def told(self, cycle: int, *events: Event) -> list[str]:
        return [one.what for one in self.after(cycle, *events)]

    def finish(self, cycle: int) -> None:
        """For good, in the store, three seconds after its start."""
        claim = self.store.claim()
        assert claim is not None
        assert claim.ticket == self.tickets[cycle]
        progress = claim.progress.evolve(STARTED, BEGAN).evolve(finished(claim.ticket), BEGAN + 3)
        self.store.save(claim, progress, durable=True)


def story(settings: Settings, upload: str | None = None, *, cimg: int = 1, **called: str) -> Story:
    clients, store = Clients(settings), MemoryJobStore()
    made, _ = clients.make("test")
    there = {"domain": "test.com", "uri_notify": "/notify", "uri_upload": "upload"} | called
    client = clients.change(made.token, **there)
    body = DiffusionRequest(word="coin", cimg=cimg)
    chosen = translate.choose(body, Catalog(settings), settings)
    place = Place(UID, [f"job-{cycle}" for cycle in range(cimg)], client, "test.com", "https://here")
    tickets = translate.tickets(body, chosen, upload, place, settings.safety)
    store.submit_all(tickets, limit=10)
    return Story(BacklogOutgoing(clients, store), store, tickets)


@pytest.fixture
def one(settings: Settings) -> Story:
    return story(settings)


@pytest.fixture
def three(settings: Settings) -> Story:
    return story(settings, cimg=3)


def body_of(messages: list[Message], stage: int) -> dict[str, Any]:
    (found,) = (one.body for one in messages if one.what == f"stage {stage}")
    assert found is not None
    return found


# --- the stages, row by row ------------------------------------------------------------------------------


def test_1_it_is_acknowledged(one: Story) -> None:
    (message,) = one.after(0)
    assert (message.what, message.url) == ("stage 1", "http://test.com/notify")
    assert list(message.body or {}) == [
        *("uid", "stage", "token", "cycle", "engine", "username", "filename", "descr", "cost", "qty")
    ]
    assert message.body == {
        "uid": UID,
        "stage": 1,
        "token": one.tickets[0].payload["client"],
        "cycle": 0,
        "engine": "diffusion",
        "username": "test.com",
        "filename": "default",
        "descr": "Acknowledged request",
        "cost": 0,
        "qty": 0,
    }


def test_2_it_has_started(one: Story) -> None:
    assert one.told(0, STARTED) == ["stage 1", "stage 2"]
    body = body_of(one.after(0, STARTED), 2)
    assert (body["descr"], body["filename"], body["cost"]) == ("AI started", "default", 0)


def test_3_a_given_picture_is_taken(settings: Settings) -> None:
    given = story(settings, "upload.png")
    assert given.told(0) == ["stage 1"]
    assert given.told(0, STARTED) == ["stage 1", "stage 2", "stage 3"]
    assert "input image" in body_of(given.after(0, STARTED), 3)["descr"]


def test_4_a_picture_is_done_and_sent(one: Story) -> None:
    messages = one.after(0, STARTED, finished(one.tickets[0]))
    assert [one.what for one in messages] == ["stage 1", "stage 2", "stage 4", "upload", "stage 5"]
    name = one.tickets[0].payload["files"][0]
    body = body_of(messages, 4)
    assert body["filename"] == f"https://here/uploads/ai/{name}"
    assert (body["descr"], body["qty"]) == (f"destination image = {name}", 1)
    upload = messages[3]
    assert (upload.url, upload.body) == ("http://test.com/upload", None)
    assert {part.name: part.value for part in upload.parts if part.picture is None} == {
        "uid": str(UID),
        "token": one.tickets[0].payload["client"],
        "cycle": "0",
        "engine": "diffusion",
        "username": "test.com",
        "filename": name,
    }
    (picture,) = (part for part in upload.parts if part.picture is not None)
    assert (picture.name, picture.picture, picture.filename, picture.content_type) == (
        *("image", "job-0.png", name, "image/png"),
    )


def test_5_it_has_stopped_and_says_what_it_cost(one: Story) -> None:
    body = body_of(one.after(0, STARTED, finished(one.tickets[0])), 5)
    assert (body["descr"], body["cost"], body["qty"]) == ("AI stopped", 1000, 1)


def test_minus_1_it_has_failed(one: Story) -> None:
    messages = one.after(0, STARTED, FAILED)
    assert [one.what for one in messages] == ["stage 1", "stage 2", "stage -1", "stage 5"]
    assert body_of(messages, -1)["descr"] == "It broke"
    body = body_of(messages, 5)
    assert (body["descr"], body["cost"], body["qty"]) == ("AI stopped with error", 1000, 0)


def test_one_that_was_taken_back_has_stopped(one: Story) -> None:
    assert one.told(0, Cancelled()) == ["stage 1", "stage 5"]
    assert one.told(0, STARTED, Cancelled()) == ["stage 1", "stage 2", "stage 5"]


# --- several pictures ------------------------------------------------------------------------------------


def test_the_first_tells_of_the_start_and_the_last_of_the_end(three: Story) -> None:
    told = [three.told(cycle, STARTED, finished(three.tickets[cycle])) for cycle in range(3)]
    assert told == [
        ["stage 1", "stage 2", "stage 4", "upload"],
        ["stage 4", "upload"],
        ["stage 4", "upload", "stage 5"],
    ]
    assert three.told(1) == three.told(2, STARTED) == []


def test_each_picture_names_its_cycle_and_its_file(three: Story) -> None:
    bodies = [body_of(three.after(cycle, STARTED, finished(three.tickets[cycle])), 4) for cycle in range(3)]
    assert [one["cycle"] for one in bodies] == [0, 1, 2]
    assert len({one["filename"] for one in bodies}) == 3


def test_the_end_tells_what_all_pictures_cost(three: Story) -> None:
    three.finish(0)
    three.finish(1)
    body = body_of(three.after(2, STARTED, finished(three.tickets[2])), 5)
    assert (body["cost"], body["qty"], body["cycle"]) == (7000, 3, 2)


def test_each_that_fails_says_so(three: Story) -> None:
    assert three.told(1, STARTED, FAILED) == ["stage -1"]
    assert three.told(2, STARTED, FAILED) == ["stage -1", "stage 5"]


# --- the same at every look ------------------------------------------------------------------------------


def test_a_job_that_begins_again_takes_nothing_back(one: Story) -> None:
    assert one.told(0, STARTED, Queued("crashed")) == ["stage 1", "stage 2"]
    assert one.told(0, STARTED, Queued("crashed"), Started(2, "w")) == ["stage 1", "stage 2"]


def test_numbers_are_the_same_at_every_look_and_rise(settings: Settings) -> None:
    given = story(settings, "upload.png")
    lives: tuple[list[Event], ...] = (
        [],
        [STARTED],
        [STARTED, finished(given.tickets[0])],
        [STARTED, FAILED],
        [Cancelled()],
    )
    numbers: dict[str, int] = {}
    for events in lives:
        messages = given.after(0, *events)
        for one in messages:
            assert numbers.setdefault(one.what, one.number) == one.number
        assert [one.number for one in messages] == sorted({one.number for one in messages})
    assert len(set(numbers.values())) == len(numbers) == 7


# --- where -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "uri", "url"),
    [
        ("test.com", "notify", "http://test.com/notify"),
        ("test.com/", "/notify", "http://test.com/notify"),
        ("https://test.com", "//notify", "https://test.com/notify"),
        ("http://test.com:3000/base/", "a/b?c=d", "http://test.com:3000/base/a/b?c=d"),
        ("localhost:3000", "/n", "http://localhost:3000/n"),
    ],
)
def test_the_url_is_the_domain_and_the_path(settings: Settings, domain: str, uri: str, url: str) -> None:
    (message,) = story(settings, domain=domain, uri_notify=uri).after(0)
    assert message.url == url


def test_without_a_domain_nothing_is_told(settings: Settings) -> None:
    nobody = story(settings, domain="")
    assert nobody.after(0, STARTED, finished(nobody.tickets[0])) == []


def test_each_of_the_two_paths_may_be_missing(settings: Settings) -> None:
    for uri, told in (("uri_notify", ["upload"]), ("uri_upload", [f"stage {one}" for one in (1, 2, 4, 5)])):
        own = settings.model_copy(update={"keys_file": Path(uri)})
        half = story(own, uri_notify="") if uri == "uri_notify" else story(own, uri_upload="")
        assert half.told(0, STARTED, finished(half.tickets[0])) == told


def test_messages_are_signed_with_the_client_s_own_key(settings: Settings, one: Story) -> None:
    clients = Clients(settings)
    token = one.tickets[0].payload["client"]
    messages = one.after(0, STARTED, finished(one.tickets[0]))
    assert {message.signing_key for message in messages} == {clients.signing_key(token)}


def test_the_first_acknowledged_notification_validates_the_client(settings: Settings, one: Story) -> None:
    clients, ticket = Clients(settings), one.tickets[0]
    token = ticket.payload["client"]
    messages = one.after(0, STARTED, finished(ticket))
    upload = next(message for message in messages if message.what == "upload")

    def validated() -> float | None:
        client = clients.find(token)
        assert client is not None
        return client.validated

    one.outgoing.delivered(ticket, upload)
    assert validated() is None
    one.outgoing.delivered(ticket, messages[0])
    first = validated()
    assert first is not None
    assert abs(first - time.time()) < 60
    one.outgoing.delivered(ticket, messages[1])
    assert validated() == first
