"""What the workers of this process have done since it started, counted for /metrics."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Literal

from diffusionapi.prometheus import Family, Sample, counter

if TYPE_CHECKING:
    from collections.abc import Iterator

Outcome = Literal["done", "failed", "cancelled"]
Cause = Literal["crashed", "interrupted", "given back", "lost"]


class Figures:
    """Workers write, each from its own thread; /metrics reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = 0
        self._loads = 0
        self._steps = 0
        self._step_seconds = 0.0
        self._ended: Counter[Outcome] = Counter()
        self._again: Counter[Cause] = Counter()

    def started(self, *, loads: bool) -> None:
        """A job began; with `loads` on another model than the worker's last."""
        with self._lock:
            self._started += 1
            self._loads += loads

    def stepped(self, seconds: float) -> None:
        with self._lock:
            self._steps += 1
            self._step_seconds += seconds

    def ended(self, outcome: Outcome) -> None:
        with self._lock:
            self._ended[outcome] += 1

    def again(self, cause: Cause) -> None:
        """A job is to run once more, or is run by another already."""
        with self._lock:
            self._again[cause] += 1

    def families(self) -> Iterator[Family]:
        with self._lock:
            yield counter("worker_jobs_total", "Jobs that were begun here.", self._started)
            yield counter(
                "worker_loads_total", "Those of them on another model than the one before.", self._loads
            )
            yield counter("worker_steps_total", "Steps that were made.", self._steps)
            yield counter("worker_step_seconds_total", "Time from step to step.", self._step_seconds)
            yield Family(
                "worker_ended_total",
                "counter",
                "Jobs that ended here.",
                tuple(Sample(self._ended[one], {"outcome": one}) for one in ("done", "failed", "cancelled")),
            )
            yield Family(
                "worker_redeliveries_total",
                "counter",
                "Jobs to be run again: their engine crashed, their worker vanished, they were given back, "
                "or were lost to another worker.",
                tuple(
                    Sample(self._again[one], {"cause": one})
                    for one in ("crashed", "interrupted", "given back", "lost")
                ),
            )
