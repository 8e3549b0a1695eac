"""Who delivers and is no longer to."""

from __future__ import annotations

import asyncio

from diffusionapi.webhooks.delivery import Delivery, Patience, Post
from diffusionapi.webhooks.journal import SqliteJournal
from diffusionapi.webhooks.message import Message
from diffusionapi.webhooks.sending import Outcome, Sender
from tests.server import wait_until
from tests.webhooks.tale import DIALECT, Tale, a_told_ticket


class _Frozen(Sender):
    """While it sends its first message its machine stands still, and another takes over."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, message_id: str, message: Message) -> Outcome:  # noqa: ARG002 - of the sender
        self.sent.append(message.what)
        return Outcome(0.1, 200)


def test_a_machine_that_was_frozen_tells_nothing_that_another_tells_by_now() -> None:
    sender, journal = _Frozen(), SqliteJournal(None)
    ticket = a_told_ticket("http://shop.test")
    due = [Message(number, f"message {number}", "http://shop.test/told", {}) for number in (1, 2, 3)]

    async def deliver() -> None:
        delivery = Delivery({DIALECT: Tale()}, journal, sender, Patience(), kept=lambda: not sender.sent)
        delivery.see_to(Post(ticket, due=due))
        await asyncio.to_thread(wait_until, lambda: not delivery.busy(ticket.id), 10)
        await delivery.end(10)

    asyncio.run(deliver())
    assert sender.sent == ["message 1"]
    assert [one.number for one in journal.log(ticket.id)] == [1]
    journal.close()
