"""The same steps as diffusers' schedulers take, once those are given our noise levels."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from diffusionapi.engine.samplers.schedules import Plan, plan
from diffusionapi.engine.samplers.table import SAMPLERS
from tests.engine.samplers import problem
from tests.engine.samplers.problem import RecordedNoise, distance, eps_model, finish

if TYPE_CHECKING:
    from torch import Tensor

# diffusers hands tensors to numpy in a way that torch and numpy no longer agree on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

diffusers: Any = importlib.import_module("diffusers")  # its schedulers are hardly typed
TABLE = problem.table()
TOLERANCE = 2e-5
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def ours(sampler: str, planned: Plan) -> Tensor:
    return finish(SAMPLERS[sampler](planned.start(problem.tensor("x_init")), planned, RecordedNoise()))[0]


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
    from diffusers.schedulers import scheduling_euler_ancestral_discrete as module

    noise = RecordedNoise()
    monkeypatch.setattr(module, "randn_tensor", lambda *_, **__: noise.next())
    planned = plan("Euler a", schedule, steps, TABLE)
    scheduler = diffusers.EulerAncestralDiscreteScheduler(**BETAS)
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
