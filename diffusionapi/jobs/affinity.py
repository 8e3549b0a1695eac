"""Which lane a worker takes its next job from, so that it seldom has to load a model and no job starves.

A worker stays with the model it holds for a run of jobs, unless something more urgent waits. Then it goes
where the pressure is largest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusionapi.core.lane import Lane


@dataclass(frozen=True, slots=True)
class Preference:
    """What a worker holds when it asks for a job."""

    worker: str
    model: str | None
    """None: nothing yet."""
    streak: int
    """Jobs it took in a row with that model."""
    stay: int
    """How many it may take in a row while others wait."""


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane as it stands."""

    lane: Lane
    waiting: int
    oldest: float
    """When the first of those that wait was submitted (s, by the clock of the store)."""
    workers: int
    """That hold the lane's model, without the one that asks."""


def choose(lanes: Sequence[LaneState], preference: Preference, now: float) -> Lane | None:
    """The lane to take a job from; None when nothing waits."""
    waiting = [one for one in lanes if one.waiting > 0]
    if not waiting:
        return None
    urgent = max(one.lane.priority for one in waiting)
    first = [one for one in waiting if one.lane.priority == urgent]
    held = [one for one in first if one.lane.model == preference.model]
    if held and preference.streak < preference.stay:
        return min(held, key=lambda one: one.oldest).lane
    return max(first, key=lambda one: _pressure(one, now)).lane


def _pressure(state: LaneState, now: float) -> float:
    """The exponent is the best of those tried, for small and for large numbers of workers: with 1 the rare
    models wait, with 2 the popular ones (scripts/simulate_affinity)."""
    return (now - state.oldest) * state.waiting / math.pow(1 + state.workers, 1.5)
