"""How long things take here lately, to tell clients when it is worth to ask again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from diffusionapi.core.job import JobState

if TYPE_CHECKING:
    from diffusionapi.core.job import Progress

_KEPT = 20
_AT_FIRST = 10.0
"""Seconds that a picture is taken to need while nothing is known yet."""
_BEGUN = 0.05
"""As far as a job has to be before its own pace says more than that of the others."""
_LEAST = 1.0


class Pace:
    """Each process knows the jobs it was asked for."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[str, float]] = deque(maxlen=_KEPT)

    def note(self, job_id: str, progress: Progress) -> None:
        """Remember how long an ended job took."""
        if progress.state is not JobState.DONE or progress.started_at is None or progress.ended_at is None:
            return
        if all(job_id != known for known, _ in self._seconds):
            self._seconds.append((job_id, progress.ended_at - progress.started_at))

    @property
    def usual(self) -> float:
        """Seconds that a job takes, as things go."""
        if not self._seconds:
            return _AT_FIRST
        return sum(seconds for _, seconds in self._seconds) / len(self._seconds)

    def left(self, progress: Progress, position: int | None, now: float) -> float:
        """Seconds until a job has ended, roughly: by its own pace when it runs, else by its place in line."""
        if progress.state.ended:
            return 0.0
        if progress.state is JobState.RUNNING and progress.started_at is not None:
            if progress.fraction > _BEGUN:
                spent = now - progress.started_at
                return max(_LEAST, spent / progress.fraction * (1 - progress.fraction))
            return max(_LEAST, self.usual)
        return max(_LEAST, self.usual * (1 + (position or 1)))
