"""The simulation, and what the way in which workers choose their jobs has to reach in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.affinity import Fleet, first_come, own_first, simulate
from diffusionapi.jobs.affinity import choose
from diffusionapi.settings import PROJECT


@pytest.mark.parametrize(("utilisation", "loads", "wait"), [(0.5, 0.42, 16), (0.7, 0.19, 35)])
def test_loads_and_waits_stay_small_at_half_load_and_beyond(
    utilisation: float, loads: float, wait: float
) -> None:
    found = simulate(Fleet(), choose, utilisation, seed=1)
    assert found.loads_per_job == pytest.approx(loads, abs=0.02)
    assert found.waiting(0.95) < wait
    assert found.waiting(0.95, since=0.75) < wait  # they do not grow


@pytest.mark.parametrize("policy", [first_come, own_first])
def test_the_ways_it_is_compared_with_fall_behind_for_ever(policy: object) -> None:
    found = simulate(Fleet(hours=1), policy, 0.7, seed=1)  # type: ignore[arg-type]
    assert found.loads_per_job > 0.6
    assert found.waiting(0.5, since=0.75) > 3 * found.waiting(0.5) / 2 > 300


def test_no_model_is_forgotten_however_rare() -> None:
    found = simulate(Fleet(models=100), choose, 0.5, seed=1)
    assert found.waiting(1) < 120


def test_jobs_take_the_share_of_the_workers_time_that_was_asked_for() -> None:
    fleet = Fleet()
    came = fleet.arrivals(0.5, seed=1)
    assert len(came) * fleet.job / (fleet.workers * fleet.hours * 3600) == pytest.approx(0.5, rel=0.03)
    counts = [sum(model == rank for _, model in came) for rank in (0, 9)]
    assert counts[0] / counts[1] == pytest.approx(10**1.1, rel=0.15)


def test_every_job_is_done_once_and_a_fleet_of_one_model_loads_it_once_a_worker() -> None:
    fleet = Fleet(workers=3, models=1, hours=0.2)
    found = simulate(fleet, choose, 0.6, seed=1)
    assert len(found.waits) == len(fleet.arrivals(0.6, seed=1))
    assert found.loads == 3


def test_the_command_prints_a_table_of_all_ways() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.affinity",
            "--hours",
            "0.05",
            "--runs",
            "1",
            "--utilisation",
            "0.5",
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert {line.split(" | ")[1] for line in lines[2:]} == {
        "affinity",
        "first come, first served",
        "own, unless one waits 30 s",
    }
