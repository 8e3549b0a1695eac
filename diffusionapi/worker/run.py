"""A job in the engine, and how long it may be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.core.work import TrainingRequest
from diffusionapi.errors import EngineDied

if TYPE_CHECKING:
    from diffusionapi.jobs.store import Claim


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator says of jobs."""

    job_timeout: float
    """Seconds that one attempt may take."""
    training_timeout: float
    """The same of a training."""
    training_yields: bool
    """Pictures are claimed while a training runs, and go before it."""
    stay: int
    """Jobs in a row that a worker takes for the model it holds, while others wait."""


class Overdue(EngineDied):
    def __init__(self, job_id: str, limit: str) -> None:
        super().__init__(f"it did not end within {limit}")
        self.job_id = job_id


class Run:
    def __init__(self, claim: Claim, rules: Rules, now: float) -> None:
        request = claim.ticket.request
        self.claim = claim
        self.id = claim.ticket.id
        self.began = now
        self.training = request if isinstance(request, TrainingRequest) else None
        self.cancelling = False
        self.lost = False
        """Another worker has taken the job; what is left of it here is of no interest."""
        self.unwanted = False
        """Its client cancelled it while what came of it waits for a place."""
        self.previewing = False
        self._seconds = rules.training_timeout if self.training else rules.job_timeout
        self._setting = "TRAINING_TIMEOUT" if self.training else "JOB_TIMEOUT"
        self._spent = 0.0
        self._looked = now
        self._stepped: float | None = None

    def stepped(self, now: float, *, begins: bool) -> float | None:
        """Seconds since the step before, or since its phase `begins`; None when that is not known."""
        since = None if begins or self._stepped is None else now - self._stepped
        self._stepped = now
        return since

    def pause(self, now: float, *, counts: bool = False) -> None:
        """Nobody listened to the engine since the last check; it `counts` for a training that was why."""
        if counts and self.training:
            self._spent += now - self._looked
        self._looked = now

    @property
    def over(self) -> bool:
        return self._spent > self._seconds

    @property
    def limit(self) -> str:
        return f"{self._seconds:g} seconds ({self._setting})"

    def check(self, now: float, *, waits: bool) -> None:
        """Overdue when its time is over. It stands still while the job `waits` for others in the engine."""
        if not waits:
            self._spent += now - self._looked
        self._looked = now
        if self.over:
            raise Overdue(self.id, self.limit)
