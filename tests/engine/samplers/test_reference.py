"""The numbers of published sampler code, through the adapter that anybody can run a comparison against."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from diffusionapi.core.sampling import resolve
from diffusionapi.engine.samplers.schedules import plan
from diffusionapi.engine.samplers.table import SAMPLERS
from tests.engine.samplers import problem, reference_adapter
from tests.engine.samplers.problem import Counted, RecordedNoise, distance

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-4
OF_DIFFUSERS = {"DPM++ 2S", "DEIS", "IPNDM", "DDPM", "LCM"}
"""They are compared in test_against_diffusers."""
KARRAS_NAMES = ("DPM++ 2M Karras", "DPM++ SDE Karras", "LMS Karras")


def keys(kind: str) -> list[str]:
    return [key for key in problem.reference() if key.startswith(f"{kind}|")]


def finals() -> list[tuple[str, str, int, str]]:
    """Sampler, schedule, steps and the reference's key; one entry serves all that must be equal to it."""
    found = []
    for key in keys("final"):
        _, sampler, schedule, steps = key.split("|")
        found.append((sampler, schedule, int(steps), key))
        if schedule == "karras" and f"{sampler} Karras" in KARRAS_NAMES:
            found.append((f"{sampler} Karras", "default", int(steps), key))
        if schedule == "ddim":
            found.append((sampler, "pndm", int(steps), key))
    return found


def sample(sampler: str, schedule: str, steps: int) -> tuple[Tensor, int, int]:
    model, noise = Counted(), RecordedNoise()
    latents = reference_adapter.sample(
        sampler, schedule, steps, model, problem.tensor("x_init"), noise, problem.alphas_cumprod()
    )
    return latents, model.calls, noise.draws


def sample_img2img(sampler: str, steps: int, strength: float, mode: str) -> tuple[Tensor, int]:
    model, noise, alphas = Counted(), RecordedNoise(), problem.alphas_cumprod()
    picture, start = problem.tensor("i2i_x0"), problem.tensor("x_init")
    latents = reference_adapter.sample_img2img(
        sampler, "default", steps, strength, mode == "hires", model, picture, start, noise, alphas
    )
    return latents, model.calls


def test_the_references_hold_every_sampler_but_those_of_diffusers() -> None:
    held = {sampler for sampler, *_ in finals()}
    held |= {key.split("|")[1] for key in problem.load("k_diffusion.npz") if key != "calls"}
    assert held == set(SAMPLERS) - OF_DIFFUSERS
    assert len(finals()) == 96
    assert len(keys("i2i")) == 32


@pytest.mark.parametrize(("sampler", "schedule", "steps", "key"), finals())
def test_final_latents_and_calls_are_those_of_the_reference(
    sampler: str, schedule: str, steps: int, key: str
) -> None:
    latents, calls, draws = sample(sampler, schedule, steps)
    facts = problem.facts()[key.removeprefix("final|")]
    assert distance(latents, problem.tensor(key)) < TOLERANCE
    assert calls == facts["model_calls"]
    assert draws <= facts["noise_draws"]


@pytest.mark.parametrize("key", keys("i2i"))
def test_img2img_and_second_passes_are_those_of_the_reference(key: str) -> None:
    _, sampler, _, steps, strength, mode = key.split("|")
    latents, calls = sample_img2img(sampler, int(steps), float(strength), mode)
    assert distance(latents, problem.tensor(key)) < TOLERANCE
    assert calls == problem.facts()[key]["model_calls"]


@pytest.mark.parametrize("key", keys("sigmas"))
def test_the_noise_levels_are_those_of_the_reference(key: str) -> None:
    _, sampler, schedule, steps = key.split("|")
    chosen = resolve(sampler, schedule, int(steps), sampler_field="", schedule_field="")
    sigmas = plan(chosen.sampler, chosen.schedule, int(steps), problem.table()).sigmas
    expected = problem.tensor(key)
    if sampler.startswith(("DPM fast", "DPM adaptive")):
        sigmas, expected = (sigmas[0], sigmas[-1]), expected[[0, -2]]
    assert torch.tensor(sigmas).tolist() == pytest.approx(expected.tolist(), rel=3e-5)


@pytest.mark.parametrize("key", [one for one in keys("traj") if "|UniPC|" not in one])
def test_the_way_there_is_that_of_the_reference(key: str) -> None:
    """Not of UniPC: what it asks about is predicted, and the reference holds what has been corrected."""
    _, sampler, schedule, steps = key.split("|")
    chosen = resolve(sampler, schedule, int(steps), sampler_field="", schedule_field="")
    planned = plan(chosen.sampler, chosen.schedule, int(steps), problem.table())
    start = planned.start(problem.tensor("x_init"))
    end, asked = problem.finish(SAMPLERS[sampler](start, planned, RecordedNoise()))
    preserving = sampler in ("DDIM", "PLMS")
    seen = [ask.x / math.hypot(1, ask.sigma) if preserving else ask.x for ask in asked]
    on_the_way = iter([*seen, end])
    for latents in problem.tensor(key):
        assert any(distance(one, latents[None]) < TOLERANCE for one in on_the_way)


@pytest.mark.parametrize("key", [key for key in problem.load("k_diffusion.npz") if key != "calls"])
def test_other_step_counts_and_strengths_are_those_of_k_diffusion(key: str) -> None:
    recorded = problem.load("k_diffusion.npz")
    mode, sampler, schedule, steps, *strength = key.split("|")
    if mode == "txt2img":
        latents, calls, _ = sample(sampler, schedule, int(steps))
    else:
        latents, calls = sample_img2img(sampler, int(steps), float(strength[0]), mode)
    assert distance(latents, torch.from_numpy(recorded[key])) < TOLERANCE
    assert calls == json.loads(str(recorded["calls"]))[key]


def test_the_adapter_can_be_imported_by_its_path_alone(tmp_path: Path) -> None:
    path = Path(reference_adapter.__file__)
    program = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("candidate", {str(path)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(callable(module.sample) and callable(module.sample_img2img))
"""
    assert importlib.util.find_spec("candidate") is None
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr
