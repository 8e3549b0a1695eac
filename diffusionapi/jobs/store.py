"""The contract of a job store, and what a worker holds while it works on a job.

Every variant promises: at most one holder per job at any time; a hold ends when its holder lets go or dies;
what was recorded durably survives; a read sees a whole record. Jobs of one lane are claimed first in, first
out, and in a store of one machine all jobs of one priority are. Which lane comes next in a store that many
machines share depends on what their workers hold (affinity.py).

Across machines a holder may be taken for dead and come back. Once another has its job, `save`,
`cancel_requested` and `release` raise HoldLost and change nothing.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from diffusionapi.jobs import census

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from diffusionapi.core.events import Event
    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.core.lane import Lane
    from diffusionapi.core.work import Mode
    from diffusionapi.jobs.affinity import Preference
    from diffusionapi.jobs.census import Census
    from diffusionapi.jobs.previews import Previews

ADOPT_AFTER = 5.0
"""Seconds after which a job file that no submit finished is taken in as a job."""
TOMBSTONE_SECONDS = 300.0
"""How long the end of a forgotten job stays known to watchers that have not seen it yet."""
KEY_SECONDS = 86400.0
"""How long an idempotency key is remembered."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The client's own name for a submit; `fingerprint` tells whether it is the same request again."""

    value: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the queue. `position` is 1 for the job that is next, None for a running one.

    `mode` is filled in by who has read the ticket, which takes longer than the whole list; no store does.
    """

    job_id: str
    created_at: float
    progress: Progress
    position: int | None
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    running: list[Entry]
    waiting: list[Entry]
    waiting_total: int


class Claim:
    """A job held by one worker. Only the holder records events; letting go makes it claimable again."""

    def __init__(self, store: JobStore, ticket: Ticket, progress: Progress, hold: object) -> None:
        self.ticket = ticket
        self.progress = progress
        self.hold = hold
        self._store = store

    def record(self, event: Event) -> Progress:
        """Move the job along. A change of state is durable before this returns."""
        progress = self.progress.evolve(event, time.time())
        self._store.save(self, progress, durable=progress.state is not self.progress.state)
        self.progress = progress
        return progress

    def note(self, event: Event, *, write: bool = True) -> None:
        """Move the job along within its state. What is not written, be it that the storage refuses, goes with
        the next event that is."""
        progress = self.progress.evolve(event, time.time())
        try:
            if write:
                self._store.save(self, progress, durable=False)
        finally:
            self.progress = progress

    def cancel_requested(self) -> bool:
        return self._store.cancel_requested(self)

    def release(self) -> None:
        self._store.release(self)


class Duty(Protocol):
    """A place that one process has at a time; the next one has it when that ends, or dies."""

    def acquire(self) -> bool:
        """Take the place if it is free."""

    def kept(self) -> bool:
        """Whether a place that was taken is still ours."""

    def release(self) -> None: ...


class JobStore(ABC):
    """What the service and the workers ask of a store. Errors are those of `diffusionapi.errors`."""

    distant: ClassVar[bool] = False
    """Whether to ask it may take a while, so that nobody else should have to wait meanwhile."""
    previews: Previews
    """They reach as far as the jobs do."""

    @abstractmethod
    def submit(self, ticket: Ticket, *, limit: int, key: IdempotencyKey | None = None) -> str:
        """Keep a job and give its id: an earlier job's id when `key` was used for the same request before.

        Raises QueueFull when `limit` jobs wait already, KeyReused when `key` named another request, JobExists
        when a job of this id is there, or was a short while ago.
        """

    @abstractmethod
    def submit_all(self, tickets: Sequence[Ticket], *, limit: int) -> None:
        """Keep all of these jobs, one behind the other, or none of them: nobody starts one before all are in.

        Raises QueueFull when there is not room for all, JobExists as `submit` does.
        """

    @abstractmethod
    def progress(self, job_id: str) -> Progress:
        """How far a job is; UnknownJob. One small read: polls call it a thousand times a second."""

    def at_hand(self, job_id: str) -> Progress | None:  # noqa: ARG002 - what is near is read
        """What `progress` would say, if that is known here without asking anybody."""
        return None

    @abstractmethod
    def ticket(self, job_id: str) -> Ticket:
        """What was asked for; UnknownJob, DamagedJob."""

    @abstractmethod
    def claim(
        self, wanted: Callable[[Lane], bool] | None = None, *, preference: Preference | None = None
    ) -> Claim | None:
        """Hold the first job that nobody holds, or None; the first of the lanes that are `wanted`, if given.

        Higher priorities go first. Of one, a store that many machines share goes by `preference`; the others
        stay first in, first out. What it costs does not depend on how many wait, but on how many it has to
        pass over.
        """

    @abstractmethod
    def save(self, claim: Claim, progress: Progress, *, durable: bool) -> None:
        """Replace the progress of a held job; HoldLost.

        What is not durable may be lost with the machine; of that, steps and phases may be written later.
        """

    @abstractmethod
    def cancel_requested(self, claim: Claim) -> bool:
        """Has the client of a held job taken it back? HoldLost. Asked twenty times a second."""

    @abstractmethod
    def release(self, claim: Claim) -> None:
        """Let go of a held job; HoldLost. A hold that cannot be given up now ends by itself soon."""

    @abstractmethod
    def cancel(self, job_id: str) -> Progress:
        """End a waiting job now, or ask the holder of a running one to; UnknownJob, JobEnded."""

    @abstractmethod
    def forget(self, job_id: str) -> None:
        """Remove an ended job. Its end stays readable through `epitaph` for a while."""

    @abstractmethod
    def epitaph(self, job_id: str) -> Progress | None:
        """The last progress of a job that was forgotten a short while ago."""

    @abstractmethod
    def position(self, job_id: str) -> int | None:
        """The place of a waiting job in the line, from 1; None when it does not wait."""

    @abstractmethod
    def listing(self, limit: int) -> Listing:
        """Running jobs and the first `limit` waiting ones."""

    @abstractmethod
    def living(self) -> Iterator[Ticket]:
        """What was asked for by every job that waits or runs. One that cannot be read is left out."""

    @abstractmethod
    def accepted(self, after: int | None) -> tuple[int, list[str]]:
        """The number of the newest job, by any process, and the jobs past number `after`, in their order.

        With None no jobs: it is where a watcher begins. Some of them may be gone already. Numbers rise; one
        below `after` says that the store has lost what it had, and whoever remembers a place goes on from it.
        """

    @abstractmethod
    def ended(self, *, before: float) -> list[str]:
        """Jobs that ended before that time (epoch s) and were never fetched."""

    @abstractmethod
    def sweep(self, *, ended_before: float) -> int:
        """Forget jobs that ended before that time (epoch s) and were never fetched; how many."""

    @abstractmethod
    def pulse(self) -> Hashable:
        """A value that changes whenever a job may have become claimable. Taken before a `claim`."""

    @abstractmethod
    def wait(self, timeout: float, *, since: Hashable) -> None:
        """Sleep until `pulse()` is no longer `since`, or `timeout` seconds."""

    @abstractmethod
    def wake(self) -> None:
        """End every `wait` in this process."""

    def census(self) -> Census:
        """How much there is to do. Without a tally by lanes, what waits first in the line is read for it."""
        return census.counted(self)

    def duty(self, name: str) -> Duty | None:  # noqa: ARG002 - there is nobody to share it with
        """For what one process at a time does, of all that share these jobs; None: nobody else has them."""
        return None

    @abstractmethod
    def check(self) -> None:
        """Raise StorageUnavailable when jobs could not be accepted now."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""
