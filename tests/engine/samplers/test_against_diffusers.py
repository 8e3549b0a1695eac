"""The same steps as diffusers' schedulers take, once those are given our noise levels."""

from __future__ import annotations

import importlib
import inspect
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch

from diffusionapi.core.diffusers_names import SCHEDULERS, resolve
from diffusionapi.engine.samplers.schedules import Plan, img2img_plan, plan
from diffusionapi.engine.samplers.table import SAMPLERS
from tests.engine.samplers import problem
from tests.engine.samplers.problem import RecordedNoise, distance, eps_model, finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from diffusionapi.engine.samplers.sampler import Ask

# diffusers hands tensors to numpy in a way that torch and numpy no longer agree on.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]

diffusers: Any = importlib.import_module("diffusers")  # its schedulers are hardly typed
TABLE = problem.table()
TOLERANCE = 2e-5
WITH_ITS_OWN_LEVELS = {"UniPCMultistepScheduler"}
"""Whatever its name says elsewhere: here it is A1111's."""
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def ours(sampler: str, planned: Plan) -> Tensor:
    return finish(SAMPLERS[sampler](planned.start(problem.tensor("x_init")), planned, RecordedNoise()))[0]


def preserved(ask: Ask) -> Tensor:
    """What a network sees: latents of unit variance."""
    return ask.x / math.hypot(1, ask.sigma)


def drawing(monkeypatch: pytest.MonkeyPatch, scheduler: Any, draws: Callable[[], Tensor]) -> None:
    """The scheduler's fresh noise is that of our sampler."""
    module = importlib.import_module(scheduler.__module__)
    monkeypatch.setattr(module, "randn_tensor", lambda *_, **__: draws())


def theirs(scheduler: Any, planned: Plan, *, sigmas: list[float], preserving: bool) -> Tensor:
    """diffusers' own loop over one level after the other, the last of which is not asked about."""
    asked = planned.told or tuple(sigmas)
    scheduler.set_timesteps(len(sigmas) - 1)
    scheduler.timesteps = torch.tensor([TABLE.t_of(sigma) for sigma in asked[: len(sigmas) - 1]])
    scheduler.sigmas = torch.tensor(sigmas)
    scheduler.num_inference_steps = len(sigmas) - 1
    x = planned.start(problem.tensor("x_init"))
    if preserving:
        x = x / math.hypot(1, planned.sigmas[0])
    for t in scheduler.timesteps:
        eps = eps_model(scheduler.scale_model_input(x, t), float(t))
        x = scheduler.step(eps, t, x).prev_sample
    return x


@pytest.mark.parametrize("scheduler", sorted(set(SCHEDULERS) - WITH_ITS_OWN_LEVELS))
def test_karras_levels_are_taken_where_diffusers_has_them_as_an_option(scheduler: str) -> None:
    found = resolve(scheduler, karras=True, algorithm=None)
    options = inspect.signature(getattr(diffusers, scheduler)).parameters
    assert (found.schedule == "karras") == ("use_karras_sigmas" in options)


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("steps", [7, 25, 50])
@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [("Euler", diffusers.EulerDiscreteScheduler), ("LMS", diffusers.LMSDiscreteScheduler)],
)
def test_euler_and_lms_are_those_of_diffusers(
    sampler: str, scheduler: Any, schedule: str, steps: int
) -> None:
    planned = plan(sampler, schedule, steps, TABLE)
    expected = theirs(scheduler(**BETAS), planned, sigmas=list(planned.sigmas), preserving=False)
    assert distance(ours(sampler, planned), expected) < TOLERANCE


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("steps", [7, 25, 50])
def test_euler_a_is_that_of_diffusers(schedule: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan("Euler a", schedule, steps, TABLE)
    scheduler = diffusers.EulerAncestralDiscreteScheduler(**BETAS)
    drawing(monkeypatch, scheduler, RecordedNoise().next)
    expected = theirs(scheduler, planned, sigmas=list(planned.sigmas), preserving=False)
    assert distance(ours("Euler a", planned), expected) < TOLERANCE


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("steps", [7, 25, 50])
def test_heun_is_that_of_diffusers(schedule: str, steps: int) -> None:
    planned = plan("Heun", schedule, steps, TABLE)
    levels = [planned.sigmas[0], *(sigma for sigma in planned.sigmas[1:-1] for _ in range(2)), 0.0]
    expected = theirs(diffusers.HeunDiscreteScheduler(**BETAS), planned, sigmas=levels, preserving=False)
    assert distance(ours("Heun", planned), expected) < TOLERANCE


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("steps", [7, 25, 50])
def test_dpmpp_2m_is_that_of_diffusers(schedule: str, steps: int) -> None:
    planned = plan("DPM++ 2M", schedule, steps, TABLE)
    scheduler = diffusers.DPMSolverMultistepScheduler(**BETAS, final_sigmas_type="zero")
    expected = theirs(scheduler, planned, sigmas=list(planned.sigmas), preserving=True)
    assert distance(ours("DPM++ 2M", planned), expected) < TOLERANCE


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("steps", [7, 25, 50])
def test_dpmpp_2m_sde_is_that_of_diffusers(
    schedule: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, noise = plan("DPM++ 2M SDE", schedule, steps, TABLE), RecordedNoise()
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **BETAS, algorithm_type="sde-dpmsolver++", solver_type="midpoint", final_sigmas_type="zero"
    )
    increments = (noise.brownian(*levels) for levels in pairwise(planned.sigmas))
    drawing(monkeypatch, scheduler, increments.__next__)
    expected = theirs(scheduler, planned, sigmas=list(planned.sigmas), preserving=True)
    assert distance(ours("DPM++ 2M SDE", planned), expected) < TOLERANCE


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 25, 50])
def test_dpmpp_2s_is_that_of_diffusers(schedule: str, steps: int) -> None:
    """An even number of steps ends with two plain ones, as diffusers' list of orders says."""
    planned = plan("DPM++ 2S", schedule, steps, TABLE)
    scheduler = diffusers.DPMSolverSinglestepScheduler(**BETAS, solver_order=2, lower_order_final=True)
    expected = theirs(scheduler, planned, sigmas=list(planned.sigmas), preserving=True)
    assert distance(ours("DPM++ 2S", planned), expected) < TOLERANCE


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("steps", [2, 3, 7, 25, 50])
def test_deis_is_that_of_diffusers_down_to_the_last_level(schedule: str, steps: int) -> None:
    """diffusers' formula knows no step to 0; ours takes the prediction there."""
    planned = plan("DEIS", schedule, steps, TABLE)
    scheduler = diffusers.DEISMultistepScheduler(**BETAS, solver_order=2, lower_order_final=False)
    expected = theirs(scheduler, planned, sigmas=list(planned.sigmas[:-1]), preserving=True)
    start = planned.start(problem.tensor("x_init"))
    latents, asked = finish(SAMPLERS["DEIS"](start, planned, RecordedNoise()))
    assert distance(preserved(asked[-1]), expected) < TOLERANCE
    assert torch.equal(latents, problem.denoised(asked[-1].x, asked[-1].sigma))


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 25, 50])
def test_ipndm_is_that_of_diffusers_on_our_levels(schedule: str, steps: int) -> None:
    """diffusers' own levels are those of other models, and so is what these answer: a velocity."""
    planned = plan("IPNDM", schedule, steps, TABLE)
    scheduler = diffusers.IPNDMScheduler()
    scheduler.set_timesteps(len(planned.sigmas) - 1)
    sigmas = torch.tensor(planned.sigmas, dtype=torch.float64)
    scheduler.alphas = (1 / (1 + sigmas**2)).sqrt()
    scheduler.betas = sigmas * scheduler.alphas
    x = planned.start(problem.tensor("x_init").double()) * scheduler.alphas[0]
    for i, sigma in enumerate(planned.sigmas[:-1]):
        alpha, beta = scheduler.alphas[i], scheduler.betas[i]
        clean = problem.denoised(x / alpha, sigma)
        velocity = alpha * (x - alpha * clean) / beta - beta * clean
        x = scheduler.step(velocity, scheduler.timesteps[i], x).prev_sample
    assert distance(ours("IPNDM", planned), x) < TOLERANCE


@pytest.mark.parametrize("steps", [2, 3, 10, 25, 30, 50, 150])
def test_ddpm_is_that_of_diffusers(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last draw is multiplied by 1e-10."""
    planned = plan("DDPM", "own", steps, TABLE)
    scheduler = diffusers.DDPMScheduler(
        **BETAS, timestep_spacing="leading", steps_offset=1, clip_sample=False, variance_type="fixed_small"
    )
    drawing(monkeypatch, scheduler, RecordedNoise().next)
    scheduler.set_timesteps(steps)
    x = problem.tensor("x_init")
    for t in scheduler.timesteps:
        x = scheduler.step(eps_model(x, float(t)), t, x).prev_sample
    assert distance(ours("DDPM", planned), x) < 2 * TOLERANCE


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 8, 25, 50])
def test_lcm_is_that_of_diffusers(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan("LCM", "own", steps, TABLE)
    expected = lcm_of_diffusers(problem.tensor("x_init"), monkeypatch, num_inference_steps=steps)
    assert distance(ours("LCM", planned), expected) < TOLERANCE


@pytest.mark.parametrize("strength", [0.1, 0.35, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_lcm_begins_with_a_picture_where_diffusers_does(
    steps: int, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, noise = problem.tensor("i2i_x0"), problem.tensor("x_init")
    planned = img2img_plan("LCM", "own", steps, strength, TABLE, fixed_steps=True)
    latents, _ = finish(SAMPLERS["LCM"](planned.start(noise, picture), planned, RecordedNoise()))
    start = planned.start(noise, picture) / math.hypot(1, planned.sigmas[0])
    wanted = {"num_inference_steps": steps, "strength": strength}
    assert distance(latents, lcm_of_diffusers(start, monkeypatch, **wanted)) < TOLERANCE


def lcm_of_diffusers(x: Tensor, monkeypatch: pytest.MonkeyPatch, **wanted: float) -> Tensor:
    scheduler = diffusers.LCMScheduler(**BETAS)
    drawing(monkeypatch, scheduler, RecordedNoise().next)
    scheduler.set_timesteps(**wanted)
    for t in scheduler.timesteps:
        x = scheduler.step(eps_model(x, float(t)), t, x).prev_sample
    return x


@pytest.mark.parametrize("steps", [5, 10, 25, 50, 100])
def test_ddim_is_that_of_diffusers_without_its_last_step(steps: int) -> None:
    planned = plan("DDIM", "own", steps, TABLE)
    scheduler = diffusers.DDIMScheduler(
        **BETAS, timestep_spacing="leading", steps_offset=1, set_alpha_to_one=False, clip_sample=False
    )
    scheduler.set_timesteps(steps)
    x = problem.tensor("x_init")
    for t in scheduler.timesteps[:-1]:
        x = scheduler.step(eps_model(x, float(t)), t, x).prev_sample
    assert distance(ours("DDIM", planned), x) < TOLERANCE


@pytest.mark.parametrize("steps", [5, 10, 25, 50, 100])
def test_plms_is_that_of_diffusers_without_its_last_step(steps: int) -> None:
    planned = plan("PLMS", "own", steps, TABLE)
    scheduler = diffusers.PNDMScheduler(
        **BETAS, timestep_spacing="leading", steps_offset=1, set_alpha_to_one=False, skip_prk_steps=True
    )
    scheduler.set_timesteps(steps)
    x = problem.tensor("x_init")
    for t in scheduler.timesteps[:-1]:
        x = scheduler.step(eps_model(x, float(t)), t, x).prev_sample
    assert distance(ours("PLMS", planned), x) < TOLERANCE


@pytest.mark.parametrize("steps", [3, 4, 5, 7, 13, 25, 30, 50, 150])
def test_unipc_is_that_of_diffusers(steps: int) -> None:
    planned = plan("UniPC", "own", steps, TABLE)
    scheduler = diffusers.UniPCMultistepScheduler(
        **BETAS, solver_order=3, solver_type="bh1", final_sigmas_type="sigma_min", lower_order_final=True
    )
    expected = theirs(scheduler, planned, sigmas=list(planned.sigmas), preserving=True)
    assert distance(ours("UniPC", planned), expected) < TOLERANCE
