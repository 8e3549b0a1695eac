"""DPM adaptive: what it reports, and that it ends; DPM fast: how its calls are shared out."""

from __future__ import annotations

from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
import torch

from diffusionapi.engine.samplers.dpm_solver import dpm_adaptive, dpm_fast
from diffusionapi.engine.samplers.schedules import img2img_plan, plan
from tests.engine.samplers import problem
from tests.engine.samplers.problem import RecordedNoise, finish

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.engine.samplers.sampler import Ask

TABLE = problem.table()
MOST_CALLS = 300


def test_dpm_adaptive_reports_only_levels_that_stay_reached() -> None:
    planned = plan("DPM adaptive", "own", 20, TABLE)
    _, asked = finish(dpm_adaptive(planned.start(problem.tensor("x_init")), planned, RecordedNoise()))
    assert len(asked) == 36
    assert any(ask.sigma < ask_next.sigma for ask, ask_next in pairwise(asked))  # a rejected attempt
    assert all(ask.level >= ask_next.level for ask, ask_next in pairwise(asked))
    shares = [round(planned.progress(done, ask.level), 2) for done, ask in enumerate(asked)]
    assert shares[::3] == [0, 0.01, 0.03, 0.08, 0.22, 0.22, 0.28, 0.41, 0.55, 0.67, 0.78, 0.93]
    assert shares[1::3] == shares[2::3] == shares[::3]


@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
def test_dpm_adaptive_ends_within_its_calls_however_wild_the_network(strength: float) -> None:
    dice = torch.Generator().manual_seed(3)
    planned = img2img_plan("DPM adaptive", "own", 20, strength, TABLE, fixed_steps=True)
    start = planned.start(problem.tensor("x_init"), problem.tensor("i2i_x0"))
    latents, asked = finish(
        dpm_adaptive(start, planned, RecordedNoise()),
        lambda ask: torch.randn(ask.x.shape, generator=dice) * 20,
    )
    assert latents.isfinite().all()
    assert 200 < len(asked) <= MOST_CALLS
    shares = [planned.progress(done, ask.level) for done, ask in enumerate(asked)]
    assert shares == sorted(shares)


def test_dpm_adaptive_finds_the_picture_even_if_it_was_held_up() -> None:
    """Nonsense for the first 240 calls costs the attempts, not the picture."""
    planned = plan("DPM adaptive", "own", 20, TABLE)
    dice, answers = torch.Generator().manual_seed(3), count()

    def answer(ask: Ask) -> Tensor:
        if next(answers) < 240:
            return torch.randn(ask.x.shape, generator=dice) * 1000
        return problem.denoised(ask.x, ask.sigma)

    start = planned.start(problem.tensor("x_init"))
    latents, asked = finish(dpm_adaptive(start, planned, RecordedNoise()), answer)
    assert 240 < len(asked) <= MOST_CALLS
    left = latents - problem.denoised(latents, TABLE.sigma_min)
    assert left.std() < 2 * TABLE.sigma_min


def test_dpm_adaptive_ignores_the_step_count() -> None:
    plans = [plan("DPM adaptive", "own", steps, TABLE) for steps in (1, 20, 150)]
    assert plans[0] == plans[1] == plans[2]
    assert plans[0].calls is None


@pytest.mark.parametrize("steps", range(1, 31))
def test_dpm_fast_shares_its_calls_out_over_equal_steps(steps: int) -> None:
    planned = plan("DPM fast", "own", steps, TABLE)
    ratios = [sigma / sigma_next for sigma, sigma_next in pairwise(planned.sigmas)]
    assert len(ratios) == steps // 3 + 1
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    noise = RecordedNoise()
    _, asked = finish(dpm_fast(planned.start(problem.tensor("x_init")), planned, noise))
    assert len(asked) == steps
    assert noise.draws == len(ratios) - 1
