"""How much there is to do, for those who watch a server: what a store can say of all jobs at once."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.core.lane import Lane, lane_of
from diffusionapi.errors import DamagedJob, UnknownJob
from diffusionapi.prometheus import Family, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.jobs.store import JobStore

_LOOKED_AT = 1000
"""Waiting jobs whose tickets are read by `counted`, from the first one on."""


@dataclass(frozen=True, slots=True)
class LaneCount:
    lane: Lane
    waiting: int
    age: float
    """Seconds since the submit of the first that waits."""


@dataclass(frozen=True, slots=True)
class Census:
    waiting: int
    running: int
    lanes: tuple[LaneCount, ...]
    dead: int | None = None
    """Jobs that were given up and are kept to be replayed; None: this store keeps none."""
    redelivered: int | None = None
    """Jobs that were taken from workers that vanished, ever; None: this store does not count them."""


def counted(store: JobStore) -> Census:
    """The census of a store that keeps no tally by lanes: of the jobs at the head of its line."""
    listing = store.listing(_LOOKED_AT)
    found: dict[Lane, list[float]] = defaultdict(list)
    for entry in listing.waiting:
        with suppress(UnknownJob, DamagedJob):  # it ended meanwhile, or nobody can tell its lane
            found[lane_of(store.ticket(entry.job_id))].append(entry.created_at)
    now = time.time()
    lanes = tuple(LaneCount(lane, len(all_), max(0.0, now - min(all_))) for lane, all_ in found.items())
    return Census(listing.waiting_total, len(listing.running), lanes)


def families(census: Census) -> Iterator[Family]:
    yield gauge("jobs_waiting", "Jobs that wait.", census.waiting)
    yield gauge("jobs_running", "Jobs that workers hold.", census.running)
    yield Family(
        "lane_waiting",
        "gauge",
        "Jobs that wait, by what they need.",
        tuple(Sample(one.waiting, _labels(one.lane)) for one in census.lanes),
    )
    yield Family(
        "lane_oldest_seconds",
        "gauge",
        "How long the first of them has waited.",
        tuple(Sample(one.age, _labels(one.lane)) for one in census.lanes),
    )
    if census.dead is not None:
        yield gauge("dead_letters", "Jobs that were given up and are kept to be replayed.", census.dead)
    if census.redelivered is not None:
        yield counter("redeliveries_total", "Jobs taken from workers that vanished.", census.redelivered)


def _labels(lane: Lane) -> dict[str, str]:
    return {"kind": lane.kind, "model": lane.model, "priority": str(lane.priority)}
