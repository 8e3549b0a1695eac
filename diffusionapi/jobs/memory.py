"""Jobs in this process' memory: for tests and for servers that may forget everything at a stop."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from diffusionapi.core.events import Cancelled
from diffusionapi.core.job import JobState, Progress, Ticket
from diffusionapi.core.lane import lane_of
from diffusionapi.errors import JobEnded, JobExists, KeyReused, QueueFull, UnknownJob
from diffusionapi.jobs.previews import MemoryPreviews
from diffusionapi.jobs.pulse import Pulse
from diffusionapi.jobs.store import (
    KEY_SECONDS,
    TOMBSTONE_SECONDS,
    Claim,
    Entry,
    IdempotencyKey,
    JobStore,
    Listing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from diffusionapi.core.lane import Lane
    from diffusionapi.jobs.affinity import Preference

_RETRY_AFTER = 5


@dataclass(slots=True)
class _Kept:
    ticket: Ticket
    progress: Progress
    number: int
    held: bool = False
    cancel: bool = False


class MemoryJobStore(JobStore):
    def __init__(self) -> None:
        self._jobs: dict[str, _Kept] = {}  # in the order of their submits
        self._newest = 0
        self._waiting: set[str] = set()
        self._graves: dict[str, tuple[float, Progress]] = {}
        self._keys: dict[str, tuple[float, IdempotencyKey, str]] = {}
        self._lock = threading.RLock()
        self._pulse = Pulse()
        self.previews = MemoryPreviews()

    def submit(self, ticket: Ticket, *, limit: int, key: IdempotencyKey | None = None) -> str:
        with self._lock:
            if key is not None and key.value in self._keys:
                _, earlier, job_id = self._keys[key.value]
                if earlier.fingerprint != key.fingerprint:
                    raise KeyReused
                return job_id
            self.submit_all([ticket], limit=limit)
            if key is not None:
                self._keys[key.value] = (ticket.created_at, key, ticket.id)
            return ticket.id

    def submit_all(self, tickets: Sequence[Ticket], *, limit: int) -> None:
        with self._lock:
            for one in tickets:
                if one.id in self._jobs or one.id in self._graves:
                    raise JobExists(one.id)
            if len(self._waiting) + len(tickets) > limit:
                raise QueueFull(limit, _RETRY_AFTER)
            for one in tickets:
                self._newest += 1
                self._jobs[one.id] = _Kept(one, Progress(), self._newest)
                self._waiting.add(one.id)
            self.wake()

    def progress(self, job_id: str) -> Progress:
        return self._kept(job_id).progress

    def ticket(self, job_id: str) -> Ticket:
        return self._kept(job_id).ticket

    def claim(
        self,
        wanted: Callable[[Lane], bool] | None = None,
        *,
        preference: Preference | None = None,  # noqa: ARG002 - of one priority first in, first out
    ) -> Claim | None:
        with self._lock:
            for job_id in self._line():
                kept = self._jobs[job_id]
                if not kept.held and (wanted is None or wanted(lane_of(kept.ticket))):
                    kept.held = True
                    return Claim(self, kept.ticket, kept.progress, kept)
        return None

    def save(self, claim: Claim, progress: Progress, *, durable: bool) -> None:  # noqa: ARG002 - memory is memory
        with self._lock:
            self._put(claim.ticket.id, progress)

    def cancel_requested(self, claim: Claim) -> bool:
        return self._kept(claim.ticket.id).cancel

    def release(self, claim: Claim) -> None:
        with self._lock:
            if (kept := self._jobs.get(claim.ticket.id)) is not None:
                kept.held = False
            if not claim.progress.state.ended:
                self.wake()

    def cancel(self, job_id: str) -> Progress:
        with self._lock:
            kept = self._kept(job_id)
            if kept.progress.state.ended:
                raise JobEnded(job_id, kept.progress.state)
            if kept.held:
                kept.cancel = True
                return kept.progress
            return self._put(job_id, kept.progress.evolve(Cancelled(), time.time()))

    def forget(self, job_id: str) -> None:
        with self._lock:
            self._waiting.discard(job_id)
            if kept := self._jobs.pop(job_id, None):
                self._graves[job_id] = (time.time(), kept.progress)

    def epitaph(self, job_id: str) -> Progress | None:
        grave = self._graves.get(job_id)
        return grave[1] if grave else None

    def position(self, job_id: str) -> int | None:
        with self._lock:
            return next((place for place, one in enumerate(self._line(), start=1) if one == job_id), None)

    def listing(self, limit: int) -> Listing:
        with self._lock:
            running = [
                Entry(job_id, kept.ticket.created_at, kept.progress, None)
                for job_id, kept in self._jobs.items()
                if kept.progress.state is JobState.RUNNING
            ]
            waiting = [
                Entry(job_id, self._jobs[job_id].ticket.created_at, self._jobs[job_id].progress, place)
                for place, job_id in enumerate(self._line()[:limit], start=1)
            ]
            return Listing(running, waiting, len(self._waiting))

    def living(self) -> Iterator[Ticket]:
        with self._lock:
            return iter([kept.ticket for kept in self._jobs.values() if not kept.progress.state.ended])

    def accepted(self, after: int | None) -> tuple[int, list[str]]:
        with self._lock:
            if after is None:
                return self._newest, []
            new = list(takewhile(lambda one: one[1].number > after, reversed(self._jobs.items())))
            return self._newest, [job_id for job_id, _ in reversed(new)]

    def ended(self, *, before: float) -> list[str]:
        with self._lock:
            ends = [(job_id, kept.progress.ended_at) for job_id, kept in self._jobs.items()]
            return [job_id for job_id, end in ends if end is not None and end < before]

    def sweep(self, *, ended_before: float) -> int:
        with self._lock:
            now = time.time()
            self.previews.sweep()
            expired = self.ended(before=ended_before)
            for job_id in expired:
                self.forget(job_id)
            self._graves = {
                job_id: grave for job_id, grave in self._graves.items() if grave[0] >= now - TOMBSTONE_SECONDS
            }
            self._keys = {one: kept for one, kept in self._keys.items() if kept[0] >= now - KEY_SECONDS}
            return len(expired)

    def pulse(self) -> Hashable:
        return self._pulse.value

    def wait(self, timeout: float, *, since: Hashable) -> None:
        self._pulse.wait(timeout, since=since)

    def wake(self) -> None:
        self._pulse.wake()

    def check(self) -> None:
        """Memory is always there."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _kept(self, job_id: str) -> _Kept:
        try:
            return self._jobs[job_id]
        except KeyError:
            raise UnknownJob(job_id) from None

    def _line(self) -> list[str]:
        def rank(job_id: str) -> tuple[int, int]:
            kept = self._jobs[job_id]
            return -kept.ticket.priority, kept.number

        return sorted(self._waiting, key=rank)

    def _put(self, job_id: str, progress: Progress) -> Progress:
        kept = self._jobs[job_id]
        if kept.progress.state is not progress.state:
            if progress.state is JobState.QUEUED:
                self._waiting.add(job_id)
            else:
                self._waiting.discard(job_id)
        kept.progress = progress
        return progress
