"""img2img and inpaint against diffusers' own pipelines: same noise, same levels, same latents.

AUTOMATIC1111 runs int(strength * steps) + 1 steps where diffusers runs int(strength * steps): each is asked
for the strength that makes it 6 of 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import (
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from diffusionapi.core.request import Mask, Source
from tests import miniatures
from tests.engine.rendering import a_mask, a_photo, latents_of, make_engine, make_house, render, upload
from tests.engine.test_against_diffusers import NEGATIVE, PROMPT, STEPS, distance, scheduler

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OURS, THEIRS = 0.5, 0.6
SEED = 7
SIZES = {"sd1": (64, 96), "sd2": (64, 96), "sdxl": (128, 64)}
HOLE = (16, 8, 48, 40)
PIPELINES = {
    ("sd", False): StableDiffusionImg2ImgPipeline,
    ("sd", True): StableDiffusionInpaintPipeline,
    ("sdxl", False): StableDiffusionXLImg2ImgPipeline,
    ("sdxl", True): StableDiffusionXLInpaintPipeline,
}


@pytest.fixture(autouse=True)
def _no_dice_in_the_vae(monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers draws encoded pictures from the VAE's distribution; here it takes its mean, as we do."""

    def mean(self: Any, generator: object = None) -> Tensor:  # noqa: ARG001
        middle: Tensor = self.mean
        return middle

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", mean)


def a1111(made: Any, *, mask: bool) -> Any:
    """A1111 noises the picture for DDIM to the level above the one it starts from; not what is kept."""
    add_noise, calls = type(made).add_noise, []

    def one_level_up(original: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        calls.append(timesteps)
        here, above = (add_noise(made, original, noise, timesteps + more) for more in (0, 100))
        left, top, right, bottom = (side // 8 for side in HOLE)
        if len(calls) == 1 and not mask:
            here = above
        elif len(calls) == 1:
            here[..., top:bottom, left:right] = above[..., top:bottom, left:right]
        return torch.as_tensor(here)

    made.add_noise = one_level_up
    return made


@dataclass
class Case:
    folder: Path
    family: str
    guidance: float = 5.0
    sampler: str = "Euler"
    schedule: str = "default"
    mask: bool = True

    @property
    def theirs(self) -> Tensor:
        width, height = SIZES[self.family]
        pipeline = self._pipeline()
        asked: dict[str, Any] = {"image": a_photo(width, height)}
        if self.mask:
            asked |= {"mask_image": a_mask(width, height, HOLE), "width": width, "height": height}
        result = pipeline(
            prompt=PROMPT,
            negative_prompt=NEGATIVE,
            num_inference_steps=STEPS,
            strength=OURS if self.sampler == "DDIM" else THEIRS,
            guidance_scale=self.guidance,
            generator=torch.Generator().manual_seed(SEED),
            output_type="latent",
            **asked,
        )
        latents: Tensor = result.images[0]
        return latents

    def _pipeline(self) -> Any:
        kind = PIPELINES["sdxl" if self.family == "sdxl" else "sd", self.mask]
        base, options = StableDiffusionXLPipeline, {}
        if self.family != "sdxl":
            base, options = StableDiffusionPipeline, {"safety_checker": None}
        parts = base.from_pretrained(self.folder, dtype=torch.float32, **options).components
        pipeline = kind(**parts, **({"requires_safety_checker": False} if options else {}))
        pipeline.set_progress_bar_config(disable=True)
        made = scheduler(self.sampler, pipeline.scheduler.config)
        pipeline.scheduler = a1111(made, mask=self.mask) if self.sampler == "DDIM" else made
        return pipeline

    def ours(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> Tensor:
        width, height = SIZES[self.family]
        house = make_house(root, {"mini": self.folder})
        mask = None
        if self.mask:
            white = upload(house, a_mask(width, height, HOLE))
            mask = Mask(white, blur=0, invert=False, fill="original", only_masked=False, padding=0)
        source = Source(upload(house, a_photo(width, height)), OURS, "stretch", mask)
        seen = latents_of(monkeypatch)
        render(
            make_engine(house),
            model="mini",
            prompt=PROMPT,
            negative_prompt=NEGATIVE,
            sampler=self.sampler,
            schedule=self.schedule,
            steps=STEPS,
            guidance=self.guidance,
            seed=SEED,
            width=width,
            height=height,
            source=source,
        )
        return seen[-1]


@pytest.mark.parametrize("mask", [False, True], ids=["img2img", "inpaint"])
@pytest.mark.parametrize(("sampler", "schedule"), [("Euler", "default"), ("DDIM", "own")])
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_latents_equal_those_of_the_pipeline(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    family: str,
    sampler: str,
    schedule: str,
    mask: bool,
) -> None:
    folder = request.getfixturevalue(f"{family}_folder")
    case = Case(folder, family, sampler=sampler, schedule=schedule, mask=mask)
    assert distance(case.ours(tmp_path, monkeypatch), case.theirs) < 1e-3


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_model_for_inpainting_equals_its_pipeline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, family: str
) -> None:
    published = "sd2-base" if family == "sd2" else family
    folder = miniatures.make_inpainting(published, tmp_path / "models" / "mini-inpainting")
    case = Case(folder, family)
    assert distance(case.ours(tmp_path / "house", monkeypatch), case.theirs) < 1e-3
