"""A dialect's side of the webhooks for tests: tells that a job was accepted, started and has ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from diffusionapi.webhooks.message import Message, Part
from tests.factories import a_ticket

if TYPE_CHECKING:
    from diffusionapi.core.job import Progress, Ticket

DIALECT = "tale"


def a_told_ticket(url: str, job_id: str | None = None, **fields: object) -> Ticket:
    return replace(a_ticket(job_id), dialect=DIALECT, payload={"url": url, **fields})


class Tale:
    def __init__(self, key: bytes = b"") -> None:
        self.key = key
        self.acknowledged: list[str] = []

    def messages(self, ticket: Ticket, progress: Progress) -> list[Message]:
        url = ticket.payload["url"]
        found = [self._message(1, "accepted", f"{url}/accepted", ticket)]
        if progress.started_at is not None:
            found.append(self._message(2, "started", f"{url}/started", ticket))
        if progress.state.ended:
            if progress.picture is not None and ticket.payload.get("picture"):
                parts = (
                    Part("image", picture=progress.picture.name, filename="a.png", content_type="image/png"),
                    Part("uid", "ünï"),
                )
                found.append(Message(3, "picture", f"{url}/picture", parts=parts, signing_key=self.key))
            found.append(self._message(4, "ended", f"{url}/ended", ticket))
        return found

    def delivered(self, ticket: Ticket, message: Message) -> None:  # noqa: ARG002 - of the protocol
        self.acknowledged.append(message.what)

    def _message(self, number: int, what: str, url: str, ticket: Ticket) -> Message:
        return Message(number, what, url, {"job": ticket.id, "what": what}, signing_key=self.key)
