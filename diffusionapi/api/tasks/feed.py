"""What happens to tasks, for those who listen: read from the job store, whichever process or worker it was.

While somebody listens, each round takes in the jobs that were accepted since the last one and looks at those
that have not ended. Nobody is told what happened before they began to listen.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from diffusionapi.api.tasks.events import DIALECT, Stage, stage_of
from diffusionapi.core.events import Failed, Failure
from diffusionapi.core.job import Progress
from diffusionapi.errors import DamagedJob, Error, StorageUnavailable, UnknownJob
from diffusionapi.logs import Complaints

if TYPE_CHECKING:
    from diffusionapi.core.job import Ticket
    from diffusionapi.service import Service

log = logging.getLogger(__name__)

_LOOK = 0.04
"""Seconds between two rounds."""
_SHARE = 10
"""A round may take a tenth of the time: with thousands of tasks to look at, the rounds get rarer."""
_KEPT = 1000
"""Events that may wait for a slow listener."""
_NO_SESSION = ""
_LOST = "The queue has lost the task; submit it again"


class Told(NamedTuple):
    ticket: Ticket
    progress: Progress
    stage: Stage


@dataclass(slots=True)
class _Followed:
    ticket: Ticket
    told: int = 0


@dataclass(eq=False, slots=True)
class Subscription:
    """Events in their order, then None when there will be no more: the server stops, or too many waited."""

    session: str
    events: asyncio.Queue[Told | None] = field(default_factory=lambda: asyncio.Queue(_KEPT + 1))
    overrun: bool = False


class Feed:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._listeners: set[Subscription] = set()
        self._followed: dict[str, _Followed] = {}
        self._last: int | None = None
        self._turn = asyncio.Lock()
        self._complaints = Complaints()
        self._rounds: asyncio.Task[None] | None = None

    async def listen(self, session: str) -> Subscription:
        """Everything that happens from now on to the tasks of a session, until `leave`."""
        one = Subscription(session)
        async with self._turn:
            if self._listeners:
                self._tell(await asyncio.to_thread(self._round))
            else:
                await asyncio.to_thread(self._begin)
            self._listeners.add(one)
            if self._rounds is None or self._rounds.done():
                self._rounds = asyncio.create_task(self._go_on())
        return one

    def leave(self, one: Subscription) -> None:
        self._listeners.discard(one)

    async def _go_on(self) -> None:
        """Look and tell, as long as somebody listens."""
        took = 0.0
        while self._listeners and not self._service.closing:
            await asyncio.sleep(max(_LOOK, took * _SHARE))
            async with self._turn:
                if not self._listeners:
                    break
                began = time.monotonic()
                try:
                    self._tell(await asyncio.to_thread(self._round))
                except Error as error:
                    if self._complaints.news(error.sentence):
                        log.warning("the queue cannot be watched: %s", error.sentence)
                except Exception:
                    # A defect of ours: the next round may get further, and listeners would wait for ever.
                    log.exception("tasks cannot be watched")
                took = time.monotonic() - began
        for one in self._listeners:
            self._end(one)

    def _begin(self) -> None:
        """Where everything is when the first one listens."""
        store = self._service.store
        self._last, _ = store.accepted(None)
        self._followed = {}
        for ticket in store.living():
            if ticket.dialect == DIALECT:
                with suppress(UnknownJob):
                    self._followed[ticket.id] = _Followed(ticket, stage_of(store.progress(ticket.id)))

    def _round(self) -> list[Told]:
        """All that has happened since the last one."""
        self._take_in()
        told = []
        for job_id, one in list(self._followed.items()):
            try:
                progress = self._progress(job_id)
            except StorageUnavailable:
                continue  # the next round sees it
            reached = stage_of(progress)
            told += [Told(one.ticket, progress, Stage(stage)) for stage in range(one.told + 1, reached + 1)]
            one.told = max(one.told, reached)
            if reached is Stage.ENDED:
                del self._followed[job_id]
        return told

    def _take_in(self) -> None:
        """Follow the tasks that were accepted since the last round."""
        store = self._service.store
        newest, new = store.accepted(self._last)
        for job_id in new:
            if job_id in self._followed:
                continue
            with suppress(UnknownJob, DamagedJob):
                if self._service.of_dialect(job_id, DIALECT):
                    self._followed[job_id] = _Followed(store.ticket(job_id))
        if self._last is not None and newest < self._last:
            # The store has lost what it had; those that live and were not followed are new.
            for ticket in store.living():
                if ticket.dialect == DIALECT:
                    self._followed.setdefault(ticket.id, _Followed(ticket))
        self._last = newest

    def _progress(self, job_id: str) -> Progress:
        """How far a task is; that it failed when nobody knows it any more."""
        try:
            return self._service.store.progress(job_id)
        except UnknownJob as unknown:
            known = self._service.store.epitaph(job_id)
            return known or Progress().evolve(Failed(Failure(unknown.code, _LOST)), time.time())

    def _tell(self, told: list[Told]) -> None:
        for event in told:
            session = event.ticket.payload.get("session") or _NO_SESSION
            for one in self._listeners:
                if one.session == session and not one.overrun:
                    if one.events.qsize() >= _KEPT:
                        one.overrun = True
                        self._end(one)
                    else:
                        one.events.put_nowait(event)

    @staticmethod
    def _end(one: Subscription) -> None:
        with suppress(asyncio.QueueFull):
            one.events.put_nowait(None)
