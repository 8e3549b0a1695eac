"""A seed's noise: recorded numbers, independence of neighbours, and k-diffusion's Brownian path."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise

import pytest
import torch
import torchsde

from diffusionapi.engine.samplers.dpmpp import dpmpp_sde
from diffusionapi.engine.samplers.noise import SeededNoise
from diffusionapi.engine.samplers.schedules import img2img_plan, plan
from tests.engine.samplers import problem
from tests.engine.samplers.problem import finish

TABLE = problem.table()
SHAPE = (4, 8, 8)


def test_a_seed_gives_the_recorded_numbers() -> None:
    noise = SeededNoise(1234, SHAPE, "cpu")
    assert torch.equal(noise.next(), problem.tensor("x_init")[0])
    for recorded in problem.tensor("noise")[:20]:
        assert torch.equal(noise.next(), recorded[0])


def test_draws_are_in_full_precision_and_land_on_the_device_asked_for() -> None:
    drawn = SeededNoise(1, SHAPE, "meta").next()
    assert (drawn.dtype, drawn.device.type) == (torch.float32, "meta")


def test_neighbours_and_the_global_generator_do_not_change_a_seeds_noise() -> None:
    torch.manual_seed(0)
    alone = [one.next() for one in [SeededNoise(5, SHAPE, "cpu")] for _ in range(3)]
    torch.manual_seed(1)
    noise, neighbour, together = SeededNoise(5, SHAPE, "cpu"), SeededNoise(6, SHAPE, "cpu"), []
    for _ in range(3):
        neighbour.next()
        torch.randn(7)
        together.append(noise.next())
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    noise = SeededNoise(5, SHAPE, "cpu", plan("DPM++ SDE", "karras", 20, TABLE).limits)
    noise.next()
    noise.brownian(10.0, 5.0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", [0, 1234, 2**32 - 1])
@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
def test_the_brownian_path_is_the_tree_that_k_diffusion_builds(seed: int, schedule: str) -> None:
    planned = plan("DPM++ SDE", schedule, 12, TABLE)
    noise = SeededNoise(seed, SHAPE, "cpu", planned.limits)
    levels = [sigma for sigma in planned.sigmas if sigma > 0]
    tree = torchsde.BrownianTree(min(levels), torch.zeros(SHAPE), max(levels), entropy=seed)
    for sigma, sigma_next in pairwise(levels):
        for to in (math.sqrt(sigma * sigma_next), sigma_next):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of times outside of the rounded interval
                expected = -tree(to, sigma) / math.sqrt(sigma - to)
            torch.testing.assert_close(noise.brownian(sigma, to), expected, rtol=1e-6, atol=1e-6)


def test_brownian_increments_add_up_and_turn_round() -> None:
    noise = SeededNoise(3, SHAPE, "cpu", (0.03, 14.6))

    def change(sigma: float, sigma_next: float) -> torch.Tensor:
        return noise.brownian(sigma, sigma_next) * math.sqrt(abs(sigma - sigma_next))

    torch.testing.assert_close(change(9, 4) + change(4, 1), change(9, 1), rtol=0, atol=1e-5)
    torch.testing.assert_close(change(1, 9), -change(9, 1), rtol=0, atol=1e-6)


def test_the_brownian_path_does_not_depend_on_what_was_asked_before() -> None:
    one, other = (SeededNoise(3, SHAPE, "cpu", (0.03, 14.6)) for _ in range(2))
    one.next()
    one.brownian(14.0, 13.0)
    one.brownian(0.5, 0.1)
    torch.testing.assert_close(one.brownian(9.0, 4.0), other.brownian(9.0, 4.0), rtol=0, atol=1e-6)


def test_brownian_increments_have_unit_variance() -> None:
    noise = SeededNoise(3, (4, 64, 64), "cpu", (0.03, 14.6))
    for sigma, sigma_next in ((14.6, 10.0), (3.0, 2.9), (0.04, 0.03)):
        assert noise.brownian(sigma, sigma_next).std().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("steps", [1, 2, 20, 150])
def test_dpmpp_sde_runs_on_a_seeds_own_path(schedule: str, steps: int) -> None:
    planned = plan("DPM++ SDE", schedule, steps, TABLE)
    noise = SeededNoise(11, (1, *SHAPE), "cpu", planned.limits)
    latents, _ = finish(dpmpp_sde(planned.start(noise.next()), planned, noise))
    assert latents.isfinite().all()


@pytest.mark.parametrize("strength", [0.0001, 0.01, 0.5])
@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
def test_dpmpp_sde_runs_on_the_tail_of_a_very_long_schedule(schedule: str, strength: float) -> None:
    planned = img2img_plan("DPM++ SDE", schedule, 20, strength, TABLE, fixed_steps=True)
    noise = SeededNoise(11, (1, *SHAPE), "cpu", planned.limits)
    latents, _ = finish(dpmpp_sde(planned.start(noise.next(), problem.tensor("i2i_x0")), planned, noise))
    assert latents.isfinite().all()


def test_a_path_without_limits_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(ValueError, match="limits"):
        SeededNoise(3, SHAPE, "cpu").brownian(2.0, 1.0)
