"""What a client's server is told of a request: once, when all of its pictures have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.api.v3.outgoing import V3Outgoing
from diffusionapi.core.events import Cancelled, Failed, Failure, Finished, Picture, Sampled, Started
from diffusionapi.core.job import Progress
from diffusionapi.jobs.memory import MemoryJobStore
from tests.api.v3.house import PICTURE
from tests.claims import claim_of
from tests.server import wait_until
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from diffusionapi.core.events import Event
    from diffusionapi.core.job import Ticket
    from diffusionapi.webhooks.message import Message
    from tests.api.v3.house import House

URL = "https://bob.example.com/told?x=1"
BEGAN = 1_700_000_000.0


class Story:
    """A request of pictures that the test moves through the store."""

    def __init__(self, idle: House, samples: int, **body: object) -> None:
        self.answer = idle.make(samples=samples, **{"webhook": URL, "track_id": "t-1"} | body)
        self.tickets = [idle.ticket(self.answer, place) for place in range(samples)]
        self.store = MemoryJobStore()
        self.store.submit_all(self.tickets, limit=10)
        self.outgoing = V3Outgoing(self.store)

    def end(self, place: int, event: Event, at: float) -> None:
        ticket = self.tickets[place]
        claim = claim_of(self.store, ticket.id)
        progress = claim.progress.evolve(Started(1, "w"), BEGAN).evolve(event, BEGAN + at)
        self.store.save(claim, progress, durable=True)

    def told(self, place: int) -> list[Message]:
        ticket = self.tickets[place]
        return self.outgoing.messages(ticket, self.store.progress(ticket.id))


def finished(ticket: Ticket, translated: tuple[str, str] | None = None) -> Finished:
    how = Sampled("Euler", "karras", 1, 4, translated=translated)
    return Finished(Picture(f"{ticket.id}.png", "png", 64, 64, None, 1, "fake", 1.5, 0, 0, how))


def body_of(messages: list[Message]) -> dict[str, Any]:
    (one,) = messages
    assert one.url == URL
    assert one.body is not None
    return one.body


def test_success(idle: House) -> None:
    story = Story(idle, 1)
    assert story.told(0) == []
    story.end(0, finished(story.tickets[0]), 2.5)
    assert body_of(story.told(0)) == {
        "status": "success",
        "id": story.answer["id"],
        "output": story.answer["future_links"],
        "generationTime": 2.5,
        "track_id": "t-1",
        "meta": story.answer["meta"],
    }


@pytest.mark.parametrize(
    ("event", "message"),
    [(Failed(Failure("x", "It broke")), "It broke"), (Cancelled(), "The request was cancelled")],
)
def test_failure(idle: House, event: Event, message: str) -> None:
    story = Story(idle, 1, track_id=None)
    story.end(0, event, 1)
    number = story.answer["id"]
    assert body_of(story.told(0)) == {
        "status": "failed",
        "id": number,
        "message": message,
        "track_id": None,
    }


def test_of_several_pictures_the_one_that_ends_last_tells_of_all(idle: House) -> None:
    story = Story(idle, 3)
    for place, at in ((0, 5.0), (2, 1.0)):
        story.end(place, finished(story.tickets[place]), at)
        assert story.told(place) == []
    story.end(1, Failed(Failure("x", "It broke")), 3.0)
    assert story.told(1) == story.told(2) == []
    links = story.answer["future_links"]
    assert body_of(story.told(0))["output"] == [links[0], links[2]]


def test_pictures_that_end_in_the_same_moment_are_told_of_once(idle: House) -> None:
    story = Story(idle, 2)
    for place in (0, 1):
        story.end(place, finished(story.tickets[place]), 1.0)
    assert [len(story.told(place)) for place in (0, 1)] == [0, 1]


def test_the_meta_has_the_prompts_as_they_were_translated(idle: House) -> None:
    story = Story(idle, 1)
    story.end(0, finished(story.tickets[0], ("a house", "people")), 1)
    meta = body_of(story.told(0))["meta"]
    assert (meta["prompt"], meta["negative_prompt"]) == ("a house", "people")


@pytest.mark.parametrize("webhook", [None, "", "null", "no"])
def test_without_a_webhook_nothing_is_told(idle: House, webhook: str | None) -> None:
    story = Story(idle, 1, webhook=webhook)
    story.end(0, finished(story.tickets[0]), 1)
    assert story.outgoing.messages(story.tickets[0], Progress()) == story.told(0) == []


def test_a_server_is_told_of_what_was_answered_at_once(house: House) -> None:
    with Receiver() as receiver:
        answer = house.make(samples=2, webhook=f"{receiver.url}/told", track_id=17)
        assert answer["status"] == "success"
        wait_until(lambda: receiver.received, 20)
        (call,) = receiver.received
        assert call.path == "/told"
        assert call.json["track_id"] == 17
        assert {name: call.json[name] for name in ("status", "id", "output", "meta")} == {
            name: answer[name] for name in ("status", "id", "output", "meta")
        }


def test_a_server_is_told_of_a_larger_picture(house: House) -> None:
    with Receiver() as receiver:
        answer = house.ask("/api/v3/super_resolution", url=PICTURE, scale=1, webhook=f"{receiver.url}/told")
        wait_until(lambda: receiver.received, 20)
        assert receiver.received[0].json["output"] == [answer["output"]]
