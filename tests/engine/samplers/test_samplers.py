"""What holds of every sampler: any step count, any shape and device, no state between runs, true progress."""

from __future__ import annotations

from itertools import count, pairwise, product
from typing import TYPE_CHECKING

import pytest
import torch

from diffusionapi.core import sampling
from diffusionapi.engine.samplers.noise import SeededNoise
from diffusionapi.engine.samplers.schedules import Plan, img2img_plan, plan
from diffusionapi.engine.samplers.table import SAMPLERS
from tests.engine.samplers import problem
from tests.engine.samplers.problem import RecordedNoise, denoised, distance, finish
from tests.engine.samplers.test_schedules import combinations, enough

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from diffusionapi.engine.samplers.sampler import Ask

TABLE = problem.table()


def planned_for(sampler: str, steps: int = 10) -> Plan:
    schedule = sampling.resolve(sampler, "karras", steps, sampler_field="", schedule_field="").schedule
    return plan(sampler, schedule, steps, TABLE)


def render(
    sampler: str,
    planned: Plan,
    picture: Tensor | None = None,
    answer: Callable[[Ask], Tensor] | None = None,
) -> tuple[Tensor, list[Ask]]:
    start = planned.start(problem.tensor("x_init"), picture)
    return finish(SAMPLERS[sampler](start, planned, RecordedNoise()), answer)


class PlainNoise:
    """Draws like any tensor, wherever that lives."""

    def __init__(self, like: Tensor) -> None:
        self._like = like

    def next(self) -> Tensor:
        return torch.randn_like(self._like)

    def brownian(self, sigma: float, sigma_next: float) -> Tensor:
        assert sigma > sigma_next
        return torch.randn_like(self._like)


def test_every_sampler_of_the_request_has_an_implementation() -> None:
    assert tuple(SAMPLERS) == sampling.SAMPLERS


@pytest.mark.parametrize(("sampler", "schedule"), combinations())
def test_any_step_count_ends_finite_after_the_planned_calls(sampler: str, schedule: str) -> None:
    for steps in enough(sampler, (1, 2, 3, 4, 5, 6, 7, 13, 25, 30, 50, 100, 150)):
        planned = plan(sampler, schedule, steps, TABLE)
        latents, asked = render(sampler, planned)
        assert latents.isfinite().all()
        assert latents.shape == (1, 4, 8, 8)
        assert planned.calls is None or len(asked) == planned.calls


@pytest.mark.parametrize(("sampler", "schedule"), combinations())
@pytest.mark.parametrize("strength", [0.0, 0.01, 0.06, 0.3, 0.6, 1.0])
def test_any_strength_ends_finite_after_the_planned_calls(
    sampler: str, schedule: str, strength: float
) -> None:
    picture = problem.tensor("i2i_x0")
    for steps, fixed_steps in product(enough(sampler, (1, 2, 3, 4, 8, 20)), (False, True)):
        planned = img2img_plan(sampler, schedule, steps, strength, TABLE, fixed_steps=fixed_steps)
        latents, asked = render(sampler, planned, picture)
        assert latents.isfinite().all()
        assert planned.calls is None or len(asked) == planned.calls
        if fixed_steps and strength == 0:
            assert torch.equal(latents, picture)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_hardly_any_strength_leaves_the_picture_nearly_as_it_is(sampler: str) -> None:
    picture = problem.tensor("i2i_x0")
    for fixed_steps in (False, True):
        schedule = "own" if planned_for(sampler).sigmas[-1] else "karras"
        planned = img2img_plan(sampler, schedule, 20, 0.01, TABLE, fixed_steps=fixed_steps)
        assert distance(render(sampler, planned, picture)[0], picture) < 0.15


@pytest.mark.parametrize("schedule", ["default", "karras", "exponential", "ddim"])
@pytest.mark.parametrize(
    "sampler",
    [
        *("Euler", "Euler a", "Heun", "LMS", "DEIS", "IPNDM"),
        *("DPM++ 2S a", "DPM++ 2S", "DPM++ 2M", "DPM++ 2M SDE", "DPM++ SDE"),
    ],
)
def test_a_single_step_is_the_prediction_from_pure_noise(sampler: str, schedule: str) -> None:
    latents, asked = render(sampler, plan(sampler, schedule, 1, TABLE))
    noise = problem.tensor("x_init") * TABLE.sigma_max
    assert distance(latents, denoised(noise, TABLE.sigma_max)) < 1e-5
    assert TABLE.t_of(asked[0].sigma) == 999


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_progress_rises_from_nothing_to_everything(sampler: str) -> None:
    planned = planned_for(sampler)
    _, asked = render(sampler, planned)
    shares = [planned.progress(done, ask.level) for done, ask in enumerate(asked)]
    assert shares[0] == 0
    assert all(share <= share_next for share, share_next in pairwise(shares))
    assert shares[-1] < 1
    assert planned.progress(len(asked), planned.sigmas[-1] or TABLE.sigma_min) == 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_question_lies_within_what_the_network_knows(sampler: str) -> None:
    _, asked = render(sampler, planned_for(sampler, 25))
    for ask in asked:
        assert TABLE.sigma_min * (1 - 1e-9) <= ask.sigma <= TABLE.sigma_max * (1 + 1e-9)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_two_runs_that_take_turns_do_not_disturb_each_other(sampler: str) -> None:
    planned = planned_for(sampler)
    alone, _ = render(sampler, planned)
    start = planned.start(problem.tensor("x_init"))
    runs = [SAMPLERS[sampler](start, planned, RecordedNoise()) for _ in range(2)]
    asks = [next(run) for run in runs]
    ended: list[Tensor] = []
    while len(ended) < 2:
        for i, run in enumerate(runs):
            try:
                asks[i] = run.send(denoised(asks[i].x, asks[i].sigma))
            except StopIteration as end:
                ended.append(end.value)
    assert all(torch.equal(latents, alone) for latents in ended)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_a_sampler_is_given_is_left_as_it_was(sampler: str) -> None:
    planned = planned_for(sampler)
    start = planned.start(problem.tensor("x_init"))
    kept, asked = start.clone(), []
    run = SAMPLERS[sampler](start, planned, RecordedNoise())
    ask = next(run)
    for _ in range(8):
        answer = denoised(ask.x, ask.sigma)
        asked.append((ask.x, ask.x.clone(), answer, answer.clone()))
        ask = run.send(answer)
    assert torch.equal(start, kept)
    for x, x_before, answer, answer_before in asked:
        assert torch.equal(x, x_before)
        assert torch.equal(answer, answer_before)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_network_may_take_over_at_any_question(sampler: str) -> None:
    """As a refiner does: the sampler goes on with what it has, to a picture of both."""
    planned = planned_for(sampler)
    alone, asked = render(sampler, planned)
    answers = count()

    def answer(ask: Ask) -> Tensor:
        moved = 0.5 if next(answers) >= len(asked) // 2 else 0.0
        return denoised(ask.x, ask.sigma) + moved

    latents, asked_of_both = render(sampler, planned, answer=answer)
    assert latents.isfinite().all()
    assert distance(latents, alone) > 0.1
    assert planned.calls is None or len(asked_of_both) == planned.calls


@pytest.mark.parametrize("sampler", [one for one in SAMPLERS if one != "DPM adaptive"])
@pytest.mark.parametrize("shape", [(4, 8, 8), (16, 3, 5)])
def test_samplers_never_look_at_values_and_work_on_any_shape_and_device(
    sampler: str, shape: tuple[int, ...]
) -> None:
    """On the device "meta" tensors have no values, so reading one, as waiting for a GPU does, would raise."""
    planned = planned_for(sampler)
    x = torch.empty(shape, device="meta")
    run = SAMPLERS[sampler](planned.start(x), planned, PlainNoise(x))
    latents, _ = finish(run, lambda ask: torch.empty_like(ask.x))
    assert latents.shape == shape
    assert latents.device.type == "meta"
    assert latents.dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.parametrize("sampler", [one for one in SAMPLERS if one != "DPM adaptive"])
def test_a_gpu_is_never_waited_for_and_gives_the_latents_of_the_cpu(sampler: str) -> None:
    planned, latents = planned_for(sampler), {}
    for device in ("cpu", "cuda"):
        noise = SeededNoise(7, (4, 8, 8), device, planned.limits)
        start = planned.start(noise.next())
        torch.cuda.set_sync_debug_mode("error" if device == "cuda" else "default")
        try:
            latents[device], _ = finish(SAMPLERS[sampler](start, planned, noise), lambda ask: ask.x.tanh())
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert distance(latents["cuda"].cpu(), latents["cpu"]) < 1e-4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_network_that_answers_nonsense_is_not_covered_up(sampler: str) -> None:
    latents, asked = render(
        sampler, planned_for(sampler), answer=lambda ask: torch.full_like(ask.x, torch.nan)
    )
    assert latents.isnan().all()
    assert len(asked) <= 20
