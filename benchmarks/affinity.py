"""`python -m benchmarks.affinity`: many workers, many models, and three ways to hand out jobs, simulated.

The first way is the one that workers on Redis go by (diffusionapi/jobs/affinity.py), run as it is.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections import deque
from dataclasses import dataclass, field, fields, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from diffusionapi.core.lane import Lane
from diffusionapi.jobs.affinity import LaneState, Preference, choose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Policy = Callable[[Sequence[LaneState], Preference, float], Lane | None]

_PATIENCE = 30.0
_HELP = {
    "workers": "%(default)s",
    "models": "%(default)s",
    "zipf": "the model of rank n is asked for n ** -ZIPF times as often as the first (%(default)s)",
    "job": "seconds of a job (%(default)s)",
    "load": "seconds to load another model (%(default)s)",
    "hours": "in which jobs arrive (%(default)s)",
    "stay": "jobs in a row for one model while others wait, the setting AFFINITY (%(default)s)",
    "utilisation": "share of the workers' time that jobs take without loads (%(default)s)",
    "runs": "with other arrivals each; the table shows the least and the most of them (%(default)s)",
}


@dataclass(frozen=True, slots=True)
class Fleet:
    """_HELP says what they mean."""

    workers: int = 16
    models: int = 20
    zipf: float = 1.1
    job: float = 5.0
    load: float = 12.0
    hours: float = 2.0
    stay: int = 16

    def arrivals(self, utilisation: float, seed: int) -> list[tuple[float, int]]:
        """When jobs come (s), and for which model. At a utilisation of 1 there were no time for loads."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        now, found = 0.0, list[tuple[float, int]]()
        weights = list(accumulate((rank + 1) ** -self.zipf for rank in range(self.models)))
        while (now := now + chance.expovariate(utilisation * self.workers / self.job)) < self.hours * 3600:
            found += [(now, model) for model in chance.choices(range(self.models), cum_weights=weights)]
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    loads: int
    waits: tuple[float, ...]
    """Seconds until a worker took the job, in the order in which jobs came."""

    @property
    def loads_per_job(self) -> float:
        return self.loads / len(self.waits)

    def waiting(self, share: float, *, since: float = 0.0) -> float:
        """What that share of jobs did not wait longer than; of those `since` a share of them had come."""
        waits = sorted(self.waits[int(len(self.waits) * since) :])
        return waits[int(share * (len(waits) - 1))]


# --- ways to hand out jobs --------------------------------------------------------------------------------


def first_come(lanes: Sequence[LaneState], _: Preference, __: float) -> Lane | None:
    return min((one for one in lanes if one.waiting), key=lambda one: one.oldest).lane


def own_first(lanes: Sequence[LaneState], preference: Preference, now: float) -> Lane | None:
    waiting = [one for one in lanes if one.waiting]
    oldest = min(waiting, key=lambda one: one.oldest)
    own = next((one.lane for one in waiting if one.lane.model == preference.model), oldest.lane)
    return oldest.lane if now - oldest.oldest > _PATIENCE else own


POLICIES: dict[str, Policy] = {
    "affinity": choose,
    "first come, first served": first_come,
    f"own, unless one waits {_PATIENCE:g} s": own_first,
}


# --- the simulation ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Worker:
    number: int
    model: int | None = None
    streak: int = 0


@dataclass(slots=True)
class _Queues:
    models: int
    waiting: list[deque[int]] = field(init=False)
    crowd: list[int] = field(init=False)
    """Workers that hold each model."""

    def __post_init__(self) -> None:
        self.waiting = [deque() for _ in range(self.models)]
        self.crowd = [0] * self.models

    def lanes(self, worker: _Worker, came: Sequence[tuple[float, int]]) -> list[LaneState]:
        return [
            LaneState(
                Lane("generation", str(model)),
                len(line),
                came[line[0]][0],
                self.crowd[model] - (worker.model == model),
            )
            for model, line in enumerate(self.waiting)
            if line
        ]

    def move(self, worker: _Worker, model: int) -> bool:
        """Count a job of the worker; whether it has to load the model for it."""
        if worker.model == model:
            worker.streak += 1
            return False
        if worker.model is not None:
            self.crowd[worker.model] -= 1
        self.crowd[model] += 1
        worker.model, worker.streak = model, 1
        return True


def simulate(fleet: Fleet, policy: Policy, utilisation: float, seed: int) -> Outcome:
    came = fleet.arrivals(utilisation, seed)
    waits, loads, following = [0.0] * len(came), 0, 0
    queues = _Queues(fleet.models)
    idle = [_Worker(number) for number in range(fleet.workers)]
    busy: list[tuple[float, int, _Worker]] = []
    while following < len(came) or busy:
        if following < len(came) and (not busy or came[following][0] <= busy[0][0]):
            now, model = came[following]
            queues.waiting[model].append(following)
            following += 1
        else:
            now, _, worker = heapq.heappop(busy)
            idle.append(worker)
        while idle and any(queues.waiting):
            # Of the idle ones those that hold what waits are asked first, as the store in Redis does.
            worker = min(idle, key=lambda one: one.model is None or not queues.waiting[one.model])
            idle.remove(worker)
            preference = Preference(str(worker.number), str(worker.model), worker.streak, fleet.stay)
            lane = policy(queues.lanes(worker, came), preference, now)
            assert lane is not None
            job = queues.waiting[int(lane.model)].popleft()
            waits[job] = now - came[job][0]
            load = queues.move(worker, int(lane.model))
            loads += load
            heapq.heappush(busy, (now + fleet.load * load + fleet.job, worker.number, worker))
    return Outcome(loads, tuple(waits))


def table(fleet: Fleet, utilisations: Sequence[float], runs: int) -> str:
    """Of each figure the least and the most of the runs."""
    lines = [
        "| utilisation | jobs are handed out | loads per job | wait, median | wait, p95 | wait, longest |",
        "|---|---|---|---|---|---|",
    ]
    for utilisation in utilisations:
        for name, policy in POLICIES.items():
            found = [simulate(fleet, policy, utilisation, seed) for seed in range(runs)]
            loads = _range([one.loads_per_job for one in found], ".2f")
            waits = [_range([one.waiting(share) for one in found], ".0f") + " s" for share in (0.5, 0.95, 1)]
            lines.append(f"| {utilisation:.0%} | {name} | {loads} | {' | '.join(waits)} |")
    return "\n".join(lines) + "\n"


def _range(figures: list[float], form: str) -> str:
    least, most = format(min(figures), form), format(max(figures), form)
    return least if least == most else f"{least} to {most}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/simulate_affinity",
        description="Many workers, many models, and three ways to hand out jobs, simulated.",
    )
    fleet = Fleet()
    for one in fields(fleet):
        default = getattr(fleet, one.name)
        parser.add_argument(f"--{one.name}", type=type(default), default=default, help=_HELP[one.name])
    parser.add_argument("--utilisation", type=float, nargs="+", default=[0.5, 0.7], help=_HELP["utilisation"])
    parser.add_argument("--runs", type=int, default=4, help=_HELP["runs"])
    options = parser.parse_args()
    fleet = replace(fleet, **{one.name: getattr(options, one.name) for one in fields(fleet)})
    sys.stdout.write(table(fleet, options.utilisation, options.runs))


if __name__ == "__main__":
    main()
