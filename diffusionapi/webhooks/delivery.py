"""Hands over the messages of jobs: those of one job in their order, jobs side by side, hosts kept apart."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from diffusionapi.errors import Error
from diffusionapi.logs import about
from diffusionapi.net.shown import shown
from diffusionapi.webhooks.journal import Tried, Try

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from diffusionapi.core.job import Ticket
    from diffusionapi.webhooks.journal import Journal
    from diffusionapi.webhooks.message import Message, Outgoing
    from diffusionapi.webhooks.sending import Outcome, Sender

log = logging.getLogger(__name__)

_AT_ONCE = 32
_AT_ONCE_TO_A_HOST = 4
"""So that one that hangs does not keep the others waiting."""


@dataclass(frozen=True, slots=True)
class Patience:
    """`timeout` of a try, and the `pauses` after each that failed but the last, in seconds."""

    timeout: float = 10.0
    pauses: tuple[float, ...] = (1.0, 5.0)

    @property
    def tries(self) -> int:
        return len(self.pauses) + 1


@dataclass(eq=False, slots=True)
class Post:
    """All that is due for one job, and how far each of it is."""

    ticket: Ticket
    tried: dict[int, Tried] = field(default_factory=dict)
    due: list[Message] = field(default_factory=list)

    @property
    def next(self) -> Message | None:
        """The first that is neither acknowledged nor given up."""
        return next((one for one in self.due if not self.so_far(one).settled), None)

    def so_far(self, message: Message) -> Tried:
        return self.tried.get(message.number, Tried(0, 0.0, settled=False))


class Delivery:
    """`kept` says whether it is still ours to deliver: who was frozen may find that another does."""

    def __init__(
        self,
        outgoing: Mapping[str, Outgoing],
        journal: Journal,
        sender: Sender,
        patience: Patience,
        *,
        kept: Callable[[], bool],
    ) -> None:
        self._outgoing = outgoing
        self._journal = journal
        self._sender = sender
        self._patience = patience
        self._kept = kept
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._rooms: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ending = asyncio.Event()

    def see_to(self, post: Post) -> None:
        """Deliver what is due, unless that is being done."""
        job_id = post.ticket.id
        if post.next is not None and not self.busy(job_id):
            self._running[job_id] = asyncio.create_task(self._deliver(post))

    def busy(self, job_id: str) -> bool:
        task = self._running.get(job_id)
        if task is not None and task.done():
            del self._running[job_id]
            return False
        return task is not None

    async def end(self, grace: float) -> None:
        """Begin no further try, and give those that run `grace` seconds."""
        self._ending.set()
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _deliver(self, post: Post) -> None:
        while (message := post.next) is not None and not self._over():
            await self._go_on_with(post, message)

    async def _go_on_with(self, post: Post, message: Message) -> None:
        """The next try, after the pause that is due."""
        so_far = post.so_far(message)
        if so_far.attempts:
            pause = self._patience.pauses[min(so_far.attempts, len(self._patience.pauses)) - 1]
            if await self._ends_within(so_far.last + pause - time.time()):
                return
        async with self._room_of(message.url), self._room:
            if not self._over():
                await self._try(post, message, so_far.attempts + 1)

    def _over(self) -> bool:
        return self._ending.is_set() or not self._kept()

    async def _ends_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._ending.wait(), max(0.0, seconds))
        except TimeoutError:
            return False
        return True

    async def _try(self, post: Post, message: Message, attempt: int) -> None:
        job_id, at = post.ticket.id, time.time()
        outcome = await self._sender.send(f"{job_id}-{message.number}", message)
        settled = outcome.acknowledged or outcome.hopeless or attempt >= self._patience.tries
        post.tried[message.number] = Tried(attempt, time.time(), settled)
        one = Try(
            message.number,
            message.what,
            message.url,
            at,
            attempt,
            outcome.status,
            outcome.error,
            round(outcome.seconds, 3),
        )
        _tell(job_id, one, outcome, settled=settled)
        try:
            self._journal.add(job_id, one, settled=settled)
        except Error as error:
            log.warning("a try was not written down: %s", error.sentence, extra=about(job_id))
        if outcome.acknowledged:
            await self._acknowledge(post.ticket, message)

    async def _acknowledge(self, ticket: Ticket, message: Message) -> None:
        try:
            await asyncio.to_thread(self._outgoing[ticket.dialect].delivered, ticket, message)
        except Error as error:
            log.warning("a delivery was not noted: %s", error.sentence, extra=about(ticket.id))
        except Exception:
            log.exception("a delivery was not noted", extra=about(ticket.id))

    def _room_of(self, url: str) -> asyncio.Semaphore:
        try:
            host = urlsplit(url).netloc.rpartition("@")[2].lower()
        except ValueError:
            host = ""
        room = self._rooms.get(host)
        if room is None:
            room = self._rooms[host] = asyncio.Semaphore(_AT_ONCE_TO_A_HOST)
        return room


def _tell(job_id: str, one: Try, outcome: Outcome, *, settled: bool) -> None:
    job = about(job_id)
    if outcome.acknowledged:
        log.info("told %r in %.2f s", one.what, one.seconds, extra=job)
        return
    then = "given up" if settled else "trying again"
    log.warning("%r not told to %s: %s; %s", one.what, shown(one.url), outcome.reason, then, extra=job)
