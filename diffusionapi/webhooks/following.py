"""Which jobs have something to tell, and what is due: read from the store, round by round."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.errors import DamagedJob, Error, StorageUnavailable, UnknownJob
from diffusionapi.logs import about
from diffusionapi.webhooks.delivery import Post

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.jobs.store import JobStore
    from diffusionapi.webhooks.delivery import Delivery
    from diffusionapi.webhooks.journal import Journal
    from diffusionapi.webhooks.message import Outgoing

log = logging.getLogger(__name__)

_LOG_KEPT = 86400.0
"""Seconds."""


@dataclass(eq=False, slots=True)
class _Followed:
    post: Post
    seen: int = -1
    """The number of the last event that was looked at."""
    ended: bool = False


class Following:
    def __init__(
        self, store: JobStore, outgoing: Mapping[str, Outgoing], journal: Journal, delivery: Delivery
    ) -> None:
        self._store = store
        self._outgoing = outgoing
        self._journal = journal
        self._delivery = delivery
        self._jobs: dict[str, _Followed] = {}
        self._reached = 0
        self._unwritten: set[str] = set()
        """Jobs that the journal does not know yet."""

    def begin(self, since: int | None) -> None:
        """Go on where the last process was: with its jobs, those since, and all that live.

        Those that live are there in case the journal is new, or the store counts its jobs from one again.
        In a new journal, `since` is the number of the newest job at our start.
        """
        newest, _ = self._store.accepted(None)
        reached = self._journal.reached()
        if reached is None:
            reached = since
        for job_id in self._journal.following():
            with suppress(UnknownJob, DamagedJob):
                self._add(self._store.ticket(job_id))
        if reached is not None and reached <= newest:
            self._add_all(self._store.accepted(reached)[1])
        self._add_living()
        self._journal.let_go(set(self._journal.following()).difference(self._jobs))
        self._write(newest)

    def look(self) -> None:
        """Take in new jobs, and see to what has become due."""
        self._take_in()
        done = []
        for job_id, one in self._jobs.items():
            try:
                progress = self._progress(job_id)
            except StorageUnavailable:
                continue  # the next round sees it
            if progress is None:
                one.ended = True
            elif progress.number != one.seen:
                self._ask(one, progress)
            self._delivery.see_to(one.post)
            if one.ended and one.post.next is None and not self._delivery.busy(job_id):
                done.append(job_id)
        if done:
            self._journal.let_go(done)
            for job_id in done:
                del self._jobs[job_id]

    def tidy(self) -> None:
        """Drop the logs of jobs that nobody knows any more, and old ones. Called in another thread."""
        gone = [job_id for job_id in self._journal.settled() if self._progress(job_id) is None]
        self._journal.forget(gone, tried_before=time.time() - _LOG_KEPT)

    def _take_in(self) -> None:
        newest, new = self._store.accepted(self._reached)
        self._add_all(new)
        if newest < self._reached:  # the store has lost what it had, and what is there may be newer
            self._add_living()
        if self._unwritten:
            self._write(newest)
        self._reached = newest

    def _write(self, reached: int) -> None:
        self._journal.follow(self._unwritten, reached=reached)
        self._unwritten.clear()
        self._reached = reached

    def _add_all(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            with suppress(UnknownJob, DamagedJob):
                self._add(self._store.ticket(job_id))

    def _add_living(self) -> None:
        for ticket in self._store.living():
            self._add(ticket)

    def _add(self, ticket: Ticket) -> None:
        if ticket.dialect in self._outgoing and ticket.id not in self._jobs:
            self._jobs[ticket.id] = _Followed(Post(ticket, self._journal.tried(ticket.id)))
            self._unwritten.add(ticket.id)

    def _ask(self, one: _Followed, progress: Progress) -> None:
        """What is due now that the job has come so far."""
        ticket = one.post.ticket
        try:
            one.post.due = self._outgoing[ticket.dialect].messages(ticket, progress)
        except Error as error:  # of a file that the dialect looked at: the next round asks again
            log.warning("what is due is not known: %s", error.sentence, extra=about(ticket.id))
            return
        except Exception:
            log.exception("what is due is not known", extra=about(ticket.id))
        one.seen, one.ended = progress.number, progress.state.ended

    def _progress(self, job_id: str) -> Progress | None:
        """How far a job is; None when it is forgotten and nobody knows any more."""
        try:
            return self._store.progress(job_id)
        except UnknownJob:
            return self._store.epitaph(job_id)
