"""With ever more steps every deterministic sampler solves the same differential equation."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch

from diffusionapi.engine.samplers.levels import log_spaced
from diffusionapi.engine.samplers.schedules import Plan, plan
from diffusionapi.engine.samplers.table import SAMPLERS
from tests.engine.samplers import problem
from tests.engine.samplers.problem import RecordedNoise, denoised, distance, finish

if TYPE_CHECKING:
    from torch import Tensor

TABLE = problem.table()


def start() -> Tensor:
    return problem.tensor("x_init").double()


@cache
def solution(high: float, low: float, scale: float) -> Tensor:
    """dx / d(ln sigma) = x - denoised, by the classical Runge-Kutta method in a thousand steps."""
    x, levels = start() * scale, log_spaced(high, low, 1001)
    for sigma, sigma_next in pairwise(levels):
        h, middle = math.log(sigma_next / sigma), math.sqrt(sigma * sigma_next)
        one = x - denoised(x, sigma)
        two = x + one * (h / 2) - denoised(x + one * (h / 2), middle)
        three = x + two * (h / 2) - denoised(x + two * (h / 2), middle)
        four = x + three * h - denoised(x + three * h, sigma_next)
        x = x + (one + two * 2 + three * 2 + four) * (h / 6)
    return x


def result(sampler: str, planned: Plan) -> Tensor:
    return finish(SAMPLERS[sampler](planned.start(start()), planned, RecordedNoise(torch.float64)))[0]


def error_on_grid(sampler: str, schedule: str, steps: int) -> float:
    planned = plan(sampler, schedule, steps, TABLE)
    at_lowest = solution(TABLE.sigma_max, TABLE.sigma_min, TABLE.sigma_max)
    return distance(result(sampler, planned), denoised(at_lowest, TABLE.sigma_min))


def error_between_timesteps(sampler: str, steps: int) -> float:
    planned = plan(sampler, "own", steps, TABLE)
    expected = solution(planned.sigmas[0], planned.sigmas[-1], planned.noise_scale) * planned.end_scale
    return distance(result(sampler, planned), expected)


@pytest.mark.parametrize("schedule", ["karras", "exponential"])
def test_euler_is_of_first_order(schedule: str) -> None:
    errors = [error_on_grid("Euler", schedule, steps) for steps in (50, 100, 200)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("schedule", ["karras", "exponential"])
@pytest.mark.parametrize("sampler", ["Heun", "DPM++ 2M", "DPM++ 2S", "DEIS"])
def test_samplers_of_order_2_are_of_second_order(sampler: str, schedule: str) -> None:
    errors = [error_on_grid(sampler, schedule, steps) for steps in (40, 80, 160)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("schedule", ["karras", "exponential"])
def test_dpm2_is_good_but_held_back_by_the_level_it_leaves_out(schedule: str) -> None:
    errors = [error_on_grid("DPM2", schedule, steps) for steps in (40, 80, 160)]
    assert errors[0] > 1.8 * errors[1] > 3.2 * errors[2]
    assert errors[2] < 2e-4


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DPM2", "DPM++ 2M", "DPM++ 2S", "LMS", "DEIS", "IPNDM"])
def test_all_schedules_lead_to_the_same_picture(sampler: str, schedule: str) -> None:
    if sampler == "LMS" and schedule in ("karras", "exponential"):
        steps, allowed = 100, 5e-3  # its last step carries a cubic far beyond its levels
    else:
        steps, allowed = 999, 1e-2
    assert error_on_grid(sampler, schedule, steps) < allowed


@pytest.mark.parametrize(("sampler", "allowed"), [("DDIM", 6e-3), ("PLMS", 5e-4), ("UniPC", 3e-3)])
def test_samplers_with_timesteps_approach_the_solution_too(sampler: str, allowed: float) -> None:
    errors = [error_between_timesteps(sampler, steps) for steps in (10, 50, 250)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < allowed
