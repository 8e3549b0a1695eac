"""Noise levels and plans at any step count, for any strength."""

from __future__ import annotations

import math
from itertools import pairwise, product

import pytest
import torch

from diffusionapi.core import sampling
from diffusionapi.engine.samplers.levels import GRIDS, NoiseTable
from diffusionapi.engine.samplers.schedules import FEWEST_STEPS, Plan, img2img_plan, plan
from diffusionapi.errors import BadRequest
from tests.engine.samplers import problem

TABLE = problem.table()
STEPS = (1, 2, 3, 4, 5, 6, 7, 13, 20, 25, 30, 50, 99, 100, 150)
STRENGTHS = (0.01, 0.05, 0.1, 0.25, 0.35, 0.5, 0.7, 0.75, 0.99, 1.0)
SECOND_ORDER = ("Heun", "DPM2", "DPM2 a", "DPM++ 2S a", "DPM++ SDE")


def combinations() -> list[tuple[str, str]]:
    """Every sampler with every schedule it can run on."""
    found = set()
    for sampler, schedule in product(sampling.SAMPLERS, sampling.SCHEDULES):
        try:
            chosen = sampling.resolve(sampler, schedule, 20, sampler_field="", schedule_field="")
        except BadRequest:
            continue
        found.add((chosen.sampler, chosen.schedule))
    return sorted(found)


def enough(sampler: str, steps: tuple[int, ...]) -> list[int]:
    return [one for one in steps if one >= FEWEST_STEPS.get(sampler, 1)]


def calls_of(sampler: str, steps: int) -> int:
    return 2 * steps - 1 if sampler.removesuffix(" Karras") in SECOND_ORDER else steps


def assert_sound(planned: Plan) -> None:
    assert all(math.isfinite(sigma) and sigma >= 0 for sigma in planned.sigmas)
    assert all(sigma >= sigma_next for sigma, sigma_next in pairwise(planned.sigmas))
    assert planned.sigmas[0] <= TABLE.sigma_max * (1 + 1e-12)
    assert 0 < planned.limits[0] <= planned.limits[1]
    assert math.isfinite(planned.noise_scale)


def test_levels_and_timesteps_are_each_others_inverse() -> None:
    for t in (0, 0.25, 1, 1.5, 49.95, 500, 998.9, 999):
        assert TABLE.t_of(TABLE.sigma(t)) == pytest.approx(t, abs=1e-9)


def test_a_level_between_timesteps_is_interpolated_in_its_logarithm() -> None:
    assert TABLE.sigma(0.5) == pytest.approx(math.sqrt(TABLE.sigma(0) * TABLE.sigma(1)))


def test_levels_outside_of_the_table_get_its_ends() -> None:
    assert TABLE.t_of(1000.0) == 999
    assert TABLE.t_of(1e-4) == 0
    assert TABLE.sigma_min == pytest.approx(0.02917, abs=1e-5)
    assert TABLE.sigma_max == pytest.approx(14.61464, abs=1e-5)


def test_a_table_that_ends_without_any_signal_has_finite_levels() -> None:
    alphas = torch.linspace(0.999, 0, 1000, dtype=torch.float64)
    assert math.isfinite(NoiseTable(alphas).sigma_max)
    assert_finite = plan("Euler", "karras", 20, NoiseTable(alphas)).sigmas
    assert all(map(math.isfinite, assert_finite))


@pytest.mark.parametrize("schedule", GRIDS)
@pytest.mark.parametrize("steps", STEPS)
def test_grids_descend_strictly_within_the_table(schedule: str, steps: int) -> None:
    levels = GRIDS[schedule](TABLE, steps)
    assert all(level > level_next for level, level_next in pairwise(levels))
    assert TABLE.sigma_min <= levels[-1] * (1 + 1e-12)
    assert len(levels) == (len(range(1, 1000, 1000 // steps)) if schedule == "ddim" and steps > 1 else steps)


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential"])
@pytest.mark.parametrize("steps", STEPS[1:])
def test_grids_reach_from_the_highest_level_to_the_lowest(schedule: str, steps: int) -> None:
    levels = GRIDS[schedule](TABLE, steps)
    assert (levels[0], levels[-1]) == pytest.approx((TABLE.sigma_max, TABLE.sigma_min), rel=1e-12)


@pytest.mark.parametrize("schedule", GRIDS)
def test_a_single_step_starts_from_the_highest_level(schedule: str) -> None:
    assert plan("Euler", schedule, 1, TABLE).sigmas == pytest.approx((TABLE.sigma_max, 0.0))


def test_the_karras_grid_is_evenly_spaced_in_the_seventh_root() -> None:
    roots = [level ** (1 / 7) for level in GRIDS["karras"](TABLE, 11)]
    gaps = [root - root_next for root, root_next in pairwise(roots)]
    assert gaps == pytest.approx([gaps[0]] * 10)


def test_thirty_steps_on_the_ddim_grid_are_thirty_one() -> None:
    assert plan("Euler", "ddim", 30, TABLE).calls == 31
    assert plan("Euler", "ddim", 20, TABLE).calls == 20


def test_dpm2_leaves_out_the_lowest_level_of_one_step_more() -> None:
    longer = GRIDS["default"](TABLE, 11)
    assert plan("DPM2", "default", 10, TABLE).sigmas == (*longer[:-1], 0.0)


@pytest.mark.parametrize(("sampler", "schedule"), combinations())
def test_a_plan_from_noise_is_sound_at_any_step_count(sampler: str, schedule: str) -> None:
    for steps in enough(sampler, STEPS):
        planned = plan(sampler, schedule, steps, TABLE)
        assert_sound(planned)
        if schedule not in ("ddim", "own"):
            assert planned.calls == calls_of(sampler, steps)
        if sampler == "DPM fast":
            assert planned.calls == steps
        if sampler in FEWEST_STEPS:
            listed = len(range(0, 1000, 1000 // steps))
            assert planned.calls == (listed - 1 if sampler == "DDIM" else listed)


@pytest.mark.parametrize(("sampler", "schedule"), combinations())
@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_plan_from_a_picture_is_sound_at_any_strength(sampler: str, schedule: str, strength: float) -> None:
    for steps in enough(sampler, STEPS):
        planned = img2img_plan(sampler, schedule, steps, strength, TABLE, fixed_steps=False)
        tail = int(min(strength, 0.999) * steps)
        assert_sound(planned)
        if schedule != "own":
            assert planned.calls == calls_of(sampler, tail + 1)
        if sampler in FEWEST_STEPS and tail >= FEWEST_STEPS[sampler]:
            assert planned.calls == tail - (sampler == "DDIM")


@pytest.mark.parametrize(("sampler", "schedule"), combinations())
@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_second_pass_takes_its_steps_whatever_its_strength(
    sampler: str, schedule: str, strength: float
) -> None:
    for steps in enough(sampler, (*range(1, 21), 150)):
        planned = img2img_plan(sampler, schedule, steps, strength, TABLE, fixed_steps=True)
        assert_sound(planned)
        if schedule != "own":
            assert planned.calls == calls_of(sampler, steps)
        if sampler in FEWEST_STEPS and steps > FEWEST_STEPS[sampler]:
            assert planned.calls == steps - 1 - (sampler == "DDIM")


@pytest.mark.parametrize(
    ("sampler", "calls"), [("DDIM", (0, 1, 1, 2)), ("PLMS", (0, 2, 2, 3)), ("UniPC", (3, 3, 3, 3))]
)
def test_tails_that_are_too_short_run_from_the_level_they_are_noised_to(
    sampler: str, calls: tuple[int, ...]
) -> None:
    for tail, (t, expected) in enumerate(zip((1, 51, 101, 151), calls, strict=True)):
        planned = img2img_plan(sampler, "own", 20, tail / 20 + 0.01, TABLE, fixed_steps=False)
        assert planned.calls == expected
        if tail < FEWEST_STEPS[sampler]:
            assert TABLE.t_of(planned.sigmas[0]) == pytest.approx(t)
            assert planned.image_scale == pytest.approx(1)
        else:
            assert TABLE.t_of(planned.sigmas[0]) == pytest.approx(t - 50)


@pytest.mark.parametrize(("sampler", "fewest"), FEWEST_STEPS.items())
def test_too_few_steps_are_an_error_of_the_field(sampler: str, fewest: int) -> None:
    for steps in range(1, fewest):
        with pytest.raises(BadRequest, match=f"steps: .*{sampler}"):
            plan(sampler, "own", steps, TABLE)
        for fixed_steps in (False, True):
            with pytest.raises(BadRequest, match=f"steps: .*{sampler}"):
                img2img_plan(sampler, "own", steps, 0.7, TABLE, fixed_steps=fixed_steps)


@pytest.mark.parametrize(("sampler", "schedule"), combinations())
def test_the_stronger_the_change_the_higher_the_first_level(sampler: str, schedule: str) -> None:
    for fixed_steps in (False, True):
        plans = [
            img2img_plan(sampler, schedule, 20, strength, TABLE, fixed_steps=fixed_steps)
            for strength in STRENGTHS
        ]
        first = [planned.sigmas[0] for planned in plans]
        assert first == sorted(first)
        assert first[-1] > 20 * first[0]


def test_the_tail_on_the_ddim_grid_starts_about_where_the_strength_says() -> None:
    for strength, steps in product((0.06, 0.1, 0.35, 0.7), (20, 30, 150)):
        for fixed_steps in (False, True):
            planned = img2img_plan("Euler", "ddim", steps, strength, TABLE, fixed_steps=fixed_steps)
            # A second pass cannot take its steps in less than that many timesteps.
            asked = max(strength, steps / 1000) if fixed_steps else strength
            share = TABLE.t_of(planned.sigmas[0]) / 1000
            assert 0.8 * asked - 1 / steps < share < asked + 1.5 / steps


@pytest.mark.parametrize(("sampler", "schedule"), combinations())
def test_a_second_pass_without_strength_has_nothing_to_do(sampler: str, schedule: str) -> None:
    planned = img2img_plan(sampler, schedule, 20, 0.0, TABLE, fixed_steps=True)
    noise, picture = torch.ones(4, 8, 8), torch.full((4, 8, 8), 3.0)
    assert planned.calls == 0
    assert planned.progress(0, planned.sigmas[0]) == 1.0
    assert torch.equal(planned.start(noise, picture), picture)


@pytest.mark.parametrize("strength", [1e-9, 1e-4])
@pytest.mark.parametrize(("sampler", "schedule"), combinations())
def test_hardly_any_strength_makes_no_endless_schedule(sampler: str, schedule: str, strength: float) -> None:
    assert_sound(img2img_plan(sampler, schedule, 150, strength, TABLE, fixed_steps=True))


def test_what_is_run_is_the_tail_but_the_brownian_path_is_that_of_the_whole() -> None:
    whole = plan("DPM++ SDE", "karras", 20, TABLE)
    tail = img2img_plan("DPM++ SDE", "karras", 20, 0.5, TABLE, fixed_steps=False)
    assert tail.sigmas == whole.sigmas[-len(tail.sigmas) :]
    assert tail.limits == whole.limits == (whole.sigmas[-2], whole.sigmas[0])


def test_samplers_with_timesteps_start_from_noise_of_unit_variance() -> None:
    noise = torch.ones(1)
    for sampler in ("DDIM", "PLMS", "UniPC"):
        planned = plan(sampler, "own", 20, TABLE)
        assert planned.start(noise).item() == pytest.approx(math.hypot(1, planned.sigmas[0]))
        assert planned.end_scale == pytest.approx(1 / math.hypot(1, planned.sigmas[-1]))
    planned = plan("Euler", "default", 20, TABLE)
    assert planned.start(noise).item() == pytest.approx(TABLE.sigma_max)
    assert planned.end_scale == 1


def test_too_few_steps_are_the_same_for_a_request_and_for_a_plan() -> None:
    for sampler in sampling.SAMPLERS:
        fewest = FEWEST_STEPS.get(sampler, 1)
        sampling.resolve(sampler, "karras", fewest, sampler_field="", schedule_field="")
        with pytest.raises(BadRequest) as asked:
            sampling.resolve(sampler, "karras", fewest - 1, sampler_field="", schedule_field="")
        with pytest.raises(BadRequest) as planned:
            plan(sampler, "own", fewest - 1, TABLE)
        assert planned.value.sentence == asked.value.sentence
