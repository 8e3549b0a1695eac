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
        self.previewing = False
        self._seconds = rules.training_timeout if self.training else rules.job_timeout
        self._setting = "TRAINING_TIMEOUT" if self.training else "JOB_TIMEOUT"
        self._spent = 0.0
        self._looked = now

    def check(self, now: float, *, waits: bool) -> None:
        """Overdue when its time is over. It stands still while the job `waits` for others in the engine."""
        if not waits:
            self._spent += now - self._looked
        self._looked = now
        if self._spent > self._seconds:
            raise Overdue(self.id, f"{self._seconds:g} seconds ({self._setting})")
