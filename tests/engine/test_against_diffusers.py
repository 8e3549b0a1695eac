"""The loop against diffusers' own pipelines: same weights, same noise, same schedule, same latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)

from diffusionapi.engine.samplers.noise import SeededNoise
from tests.engine.rendering import latents_of, make_engine, make_house, render

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROMPT, NEGATIVE = "a lighthouse at dusk, oil painting", "blurry"
STEPS = 10


class _DdimWithoutLastStep(DDIMScheduler):  # type: ignore[misc]
    """A1111's DDIM goes between neighbours in its list of timesteps, and so ends one step earlier."""

    def set_timesteps(self, *arguments: Any, **options: Any) -> None:
        super().set_timesteps(*arguments, **options)
        self.timesteps: Any = self.timesteps[:-1]


def scheduler(sampler: str, config: Any) -> Any:
    if sampler == "DDIM":
        options = {"timestep_spacing": "leading", "steps_offset": 1, "set_alpha_to_one": False}
        made = _DdimWithoutLastStep.from_config(config, clip_sample=False, **options)
    else:
        made = EulerDiscreteScheduler.from_config(config, timestep_spacing="linspace")
    # diffusers multiplies 1000 factors in single precision; guidance makes that visible.
    ends = (config["beta_start"] ** 0.5, config["beta_end"] ** 0.5)
    betas = torch.linspace(*ends, config["num_train_timesteps"], dtype=torch.float64).square()
    made.alphas_cumprod = (1 - betas).cumprod(0).float()
    return made


def theirs(
    pipeline: Any, sampler: str, guidance: float, size: int, negative_prompt: str | None = NEGATIVE
) -> Tensor:
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = scheduler(sampler, pipeline.scheduler.config)
    noise = SeededNoise(7, (4, size // 8, size // 8), "cpu").next()
    result = pipeline(
        prompt=PROMPT,
        negative_prompt=negative_prompt,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        width=size,
        height=size,
        latents=noise[None],
        output_type="latent",
    )
    latents: Tensor = result.images[0]
    return latents


def ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path, **asked: Any) -> Tensor:
    seen = latents_of(monkeypatch)
    engine = make_engine(make_house(tmp_path, {"mini": folder}))
    render(engine, **{"model": "mini", "prompt": PROMPT, "negative_prompt": NEGATIVE, "steps": STEPS} | asked)
    return seen[-1]


def distance(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(("sampler", "schedule"), [("Euler", "default"), ("DDIM", "own")])
@pytest.mark.parametrize(
    ("model", "guidance"),
    # Under strong guidance the miniature with v-prediction turns a change of 1e-6 into one of 2e-2.
    [("sd1", 1.0), ("sd1", 7.5), ("sd2", 1.0), ("sd2", 7.5), ("sd2_v", 1.0), ("sd2_v", 1.2)],
)
def test_sd_latents_equal_those_of_the_pipeline(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model: str,
    sampler: str,
    schedule: str,
    guidance: float,
) -> None:
    folder = request.getfixturevalue(f"{model}_folder")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, safety_checker=None)
    expected = theirs(pipeline, sampler, guidance, 64)
    drawn = ours(monkeypatch, tmp_path, folder, sampler=sampler, schedule=schedule, guidance=guidance)
    assert distance(drawn, expected) < 1e-4


@pytest.mark.parametrize(("sampler", "schedule"), [("Euler", "default"), ("DDIM", "own")])
def test_sdxl_latents_equal_those_of_the_pipeline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sdxl_folder: Path, sampler: str, schedule: str
) -> None:
    pipeline = StableDiffusionXLPipeline.from_pretrained(sdxl_folder, dtype=torch.float32)
    expected = theirs(pipeline, sampler, 6.0, 128)
    asked = {"sampler": sampler, "schedule": schedule, "guidance": 6.0, "width": 128, "height": 128}
    assert distance(ours(monkeypatch, tmp_path, sdxl_folder, **asked), expected) < 1e-4


@pytest.mark.parametrize("zeros", [True, False])
def test_what_no_negative_prompt_means_is_as_the_model_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sdxl_folder: Path, zeros: bool
) -> None:
    """SDXL was trained with zeros for it, some of what descends from it with the encoding of nothing."""
    folder = tmp_path / "models-own" / "mini"
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        sdxl_folder, dtype=torch.float32, force_zeros_for_empty_prompt=zeros
    )
    pipeline.save_pretrained(folder)
    expected = theirs(pipeline, "Euler", 6.0, 128, None)
    asked = {"sampler": "Euler", "schedule": "default", "guidance": 6.0, "width": 128, "height": 128}
    drawn = ours(monkeypatch, tmp_path, folder, negative_prompt="", **asked)
    assert distance(drawn, expected) < 1e-4
