"""Runs the project's samplers on a network given as a function, with a noise source given as a function.

The contract is the one of the comparison of published samplers: `eps_model(x, t)` sees variance-preserving
latents of shape (batch, 4, 8, 8) and answers with the noise it predicts. Can be imported on its own, by path.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from diffusionapi.core.sampling import resolve
from diffusionapi.engine.samplers.schedules import NoiseTable, img2img_plan, plan
from diffusionapi.engine.samplers.table import SAMPLERS

if TYPE_CHECKING:
    from diffusionapi.engine.samplers.sampler import Steps

EpsModel = Callable[[Tensor, float], Tensor]
NoiseFunction = Callable[..., Tensor]


class GivenNoise:
    """Not a dataclass: those cannot be made in a module that was loaded by path alone."""

    def __init__(self, function: NoiseFunction) -> None:
        self.function = function

    def next(self) -> Tensor:
        return self.function()

    def brownian(self, sigma: float, sigma_next: float) -> Tensor:
        return self.function(sigma, sigma_next)


def sample(
    sampler_name: str,
    scheduler_type: str,
    steps: int,
    eps_model: EpsModel,
    x_init: Tensor,
    noise_fn: NoiseFunction,
    alphas_cumprod: Tensor,
) -> Tensor:
    name, schedule = _resolve(sampler_name, scheduler_type, steps)
    table = NoiseTable(alphas_cumprod)
    course = plan(name, schedule, steps, table)
    return run(SAMPLERS[name](course.start(x_init), course, GivenNoise(noise_fn)), eps_model, table)


def sample_img2img(
    sampler_name: str,
    scheduler_type: str,
    steps: int,
    strength: float,
    fixed_steps: bool,
    eps_model: EpsModel,
    x0: Tensor,
    noise: Tensor,
    noise_fn: NoiseFunction,
    alphas_cumprod: Tensor,
) -> Tensor:
    name, schedule = _resolve(sampler_name, scheduler_type, steps)
    table = NoiseTable(alphas_cumprod)
    course = img2img_plan(name, schedule, steps, strength, table, fixed_steps=fixed_steps)
    return run(SAMPLERS[name](course.start(noise, x0), course, GivenNoise(noise_fn)), eps_model, table)


def run(sampler: Steps, eps_model: EpsModel, table: NoiseTable) -> Tensor:
    """Answer whatever the sampler asks until it returns its latents."""
    try:
        ask = next(sampler)
        while True:
            eps = eps_model(ask.x / math.hypot(1, ask.sigma), table.t_of(ask.sigma))
            ask = sampler.send(ask.x - eps * ask.sigma)
    except StopIteration as end:
        latents: Tensor = end.value
        return latents


def _resolve(sampler: str, schedule: str, steps: int) -> tuple[str, str]:
    found = resolve(sampler, schedule, steps, sampler_field="sampler_name", schedule_field="scheduler_type")
    return found.sampler, found.schedule
