"""How a worker comes by a job: which lane, then the first of that lane.

Who finds nothing is noted as idle in the same step, and is told when there is something; until then to ask
again costs nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.core.events import Failed, Failure
from diffusionapi.core.job import Progress
from diffusionapi.errors import DamagedJob
from diffusionapi.jobs import codec
from diffusionapi.jobs.affinity import LaneState, choose
from diffusionapi.jobs.redis import scripts
from diffusionapi.jobs.redis.holds import Hold
from diffusionapi.jobs.redis.names import key, read_lane, write_lane
from diffusionapi.jobs.store import Claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.core.lane import Lane
    from diffusionapi.jobs.affinity import Preference
    from diffusionapi.jobs.pulse import Pulse
    from diffusionapi.jobs.redis.connect import Connection
    from diffusionapi.jobs.redis.holds import Keeper
    from diffusionapi.jobs.redis.listener import Listener
    from diffusionapi.jobs.store import JobStore


@dataclass(frozen=True, slots=True)
class _Ready:
    """A lane with jobs that may be claimed; the first has this number."""

    state: LaneState
    first: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """What there was at a pulse, for a worker that found nothing in it."""

    pulse: int
    lanes: tuple[Lane, ...]


class Claimer:
    def __init__(
        self, connection: Connection, process: str, keeper: Keeper, listener: Listener, pulse: Pulse
    ) -> None:
        self._connection = connection
        self._process = process
        self._keeper = keeper
        self._listener = listener
        self._pulse = pulse
        self._seen: dict[str, _Seen] = {}
        self._workers: set[str] = set()

    def serves(self, worker: str) -> bool:
        """Whether this worker is one of this process."""
        return worker in self._workers

    def leave(self) -> None:
        """Nobody here claims any more, so none of the workers here is to be asked to, in vain."""
        if self._workers:
            self._connection.call("ZREM", key("idle"), *self._workers)

    def claim(
        self,
        store: JobStore,
        wanted: Callable[[Lane], bool] | None,
        preference: Preference | None,
    ) -> Claim | None:
        worker = preference.worker if preference else self._process
        self._workers.add(worker)  # before it may be noted as idle, and asked for
        pulse = self._pulse.value
        seen = self._seen.get(worker)
        if seen and seen.pulse == pulse and not any(wanted is None or wanted(one) for one in seen.lanes):
            return None
        while True:
            now, ready = self._ready(worker, preference)
            suitable = [one for one in ready if wanted is None or wanted(one.state.lane)]
            lane = _choose(suitable, preference, now)
            if lane is None:
                heard = self._listener.hears
                self._seen[worker] = _Seen(pulse if heard else -1, tuple(one.state.lane for one in ready))
                return None
            taken = self._connection.run(scripts.CLAIM, write_lane(lane), self._process, worker)
            if taken is not None and (claim := self._held(store, *taken)):
                return claim

    def _ready(self, worker: str, preference: Preference | None) -> tuple[float, list[_Ready]]:
        model = (preference and preference.model) or ""
        now, found = self._connection.run(scripts.LANES, worker, model)
        return float(now), [
            _Ready(LaneState(read_lane(lane.decode()), waiting, float(since), crowd), int(float(first)))
            for lane, waiting, first, since, crowd in found
        ]

    def _held(
        self, store: JobStore, name: bytes, token: int, ticket: bytes, progress: bytes, cancel: bytes
    ) -> Claim | None:
        """The claim of a job that is ours now; None when its ticket cannot be read, which ends it."""
        job_id = name.decode()
        known = codec.read_progress(progress) or Progress()
        hold = Hold(job_id, token, known, cancelled=bool(cancel), written=known.number)
        try:
            claim = Claim(store, codec.read_ticket(job_id, ticket), known, hold)
        except DamagedJob as damage:
            failed = Failed(Failure(damage.code, damage.sentence))
            self._keeper.write(hold, known.evolve(failed, time.time()))
            return None
        self._keeper.add(hold)
        return claim


def _choose(ready: list[_Ready], preference: Preference | None, now: float) -> Lane | None:
    if preference is not None:
        return choose([one.state for one in ready], preference, now)
    first = min(ready, key=lambda one: (-one.state.lane.priority, one.first), default=None)
    return None if first is None else first.state.lane
