"""A job: the ticket that is written once, and the progress that events move along."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from diffusionapi.core.events import (
    Cancelled,
    Event,
    Failed,
    Failure,
    Finished,
    Learned,
    Numbered,
    Phase,
    Picture,
    Queued,
    Saving,
    Started,
    Step,
    Trained,
)
from diffusionapi.core.request import GenerationRequest
from diffusionapi.core.work import Work  # noqa: TC001 - stores read annotations at run time

RECENT = 64
"""Events a progress keeps for watchers that look in now and then."""


class JobState(StrEnum):
    QUEUED = "queued"
    """Accepted; nobody works on it."""
    RUNNING = "running"
    """A worker holds it."""
    DONE = "done"
    """What it was to make is saved."""
    FAILED = "failed"
    """It ended without anything; `failure` says why."""
    CANCELLED = "cancelled"
    """Its client took it back."""

    @property
    def ended(self) -> bool:
        return not MOVES[self]


MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset(JobState) - {JobState.RUNNING},
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
"""Allowed moves. A running job is queued again when its attempt did not end."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What was asked for. `payload` is the request as its dialect understood it, for its answers;
    `notices` say what of it was resolved to something else."""

    id: str
    dialect: str
    created_at: float
    request: Work
    payload: dict[str, Any]
    notices: tuple[str, ...] = ()
    priority: int = 0
    """Jobs of a higher one are begun before all others."""

    @property
    def generation(self) -> GenerationRequest:
        """What is asked of a job that paints."""
        if not isinstance(self.request, GenerationRequest):
            raise TypeError(f"job {self.id} is none that paints")
        return self.request


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: the sum of its events.

    `crashes` counts attempts in which the engine died or hung while its worker lived; `interruptions` those
    in which the worker itself vanished (a killed server), which says little about the job.
    """

    state: JobState = JobState.QUEUED
    phase: str = "queued"
    fraction: float = 0.0
    attempts: int = 0
    crashes: int = 0
    interruptions: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    picture: Picture | None = None
    trained: Trained | None = None
    failure: Failure | None = None
    number: int = 0
    recent: tuple[Numbered, ...] = field(default=())

    def evolve(self, event: Event, now: float) -> Progress:
        """This progress after `event`, which happened at `now` (epoch s)."""
        changed = self._after(event, now)
        if changed.state is not self.state and changed.state not in MOVES[self.state]:
            raise ValueError(f"a job cannot go from {self.state} to {changed.state}")
        number = self.number + 1
        recent = (*self.recent, Numbered(number, event))[-RECENT:]
        return replace(changed, number=number, recent=recent)

    def _after(self, event: Event, now: float) -> Progress:
        match event:
            case Queued(cause=cause):
                return replace(
                    self,
                    state=JobState.QUEUED,
                    phase="queued",
                    fraction=0.0,
                    attempts=self.attempts - (cause == "given back"),
                    crashes=self.crashes + (cause == "crashed"),
                    interruptions=self.interruptions + (cause == "interrupted"),
                    picture=None,
                )
            case Started(attempt=attempt):
                return replace(
                    self,
                    state=JobState.RUNNING,
                    phase="loading",
                    fraction=0.0,
                    attempts=attempt,
                    started_at=now,
                    picture=None,
                )
            case Phase(name=name):
                return replace(self, phase=name)
            case Step(fraction=fraction):
                return replace(self, fraction=fraction)
            case Saving(picture=picture):
                return replace(self, phase="saving", fraction=1.0, picture=picture)
            case Finished(picture=picture):
                return replace(
                    self, state=JobState.DONE, phase="done", fraction=1.0, picture=picture, ended_at=now
                )
            case Learned(trained=trained):
                return replace(
                    self, state=JobState.DONE, phase="done", fraction=1.0, trained=trained, ended_at=now
                )
            case Failed(failure=failure):
                return replace(self, state=JobState.FAILED, phase="error", failure=failure, ended_at=now)
            case Cancelled():
                return replace(self, state=JobState.CANCELLED, phase="cancelled", ended_at=now)

    def after(self, number: int) -> tuple[Numbered, ...]:
        """The recent events past `number`."""
        return tuple(one for one in self.recent if one.number > number)
