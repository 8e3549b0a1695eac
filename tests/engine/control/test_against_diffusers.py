"""ControlNets against diffusers' own pipelines: same noise, same levels, same pictures, same latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import (
    ControlNetModel,
    HeunDiscreteScheduler,
    MultiControlNetModel,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLPipeline,
)

from diffusionapi.core.request import Control, Mask, Source
from diffusionapi.engine.samplers.noise import SeededNoise
from tests.engine.control import nets
from tests.engine.img2img.test_against_diffusers import _no_dice_in_the_vae
from tests.engine.rendering import a_mask, a_photo, latents_of, make_engine, make_house, render, upload
from tests.engine.test_against_diffusers import NEGATIVE, PROMPT, STEPS, distance, scheduler

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image
    from torch import Tensor

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
no_dice_in_the_vae = _no_dice_in_the_vae
"""Of the pipelines that start from a picture."""

SIZE = {"sd1": (64, 96), "sd2": (64, 96), "sdxl": (128, 64)}
SEED = 7
HOLE = (16, 8, 48, 40)


@dataclass(frozen=True)
class Net:
    """How a net is used; those of a case have different weights and look at different pictures."""

    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0
    guess: bool = False
    pools: bool = False
    """It was made to say what a picture holds, not where, as those that shuffle are."""


@dataclass
class Case:
    model: Path
    family: str
    root: Path
    used: list[Net]
    sampler: str = "Euler"
    guidance: float = 5.0

    def __post_init__(self) -> None:
        self.house = make_house(self.root, {"mini": self.model})
        folders = self.root / "stable_diffusion" / "controlnet"
        self.folders = [
            nets.make(self.model, folders / f"net-{place}", seed=place, pools=one.pools)
            for place, one in enumerate(self.used)
        ]

    @property
    def size(self) -> tuple[int, int]:
        return SIZE[self.family]

    @property
    def shown(self) -> list[Image.Image]:
        """Of other sizes than what is painted."""
        return [a_photo(80 + 16 * place, 72, seed=place) for place in range(len(self.used))]

    def theirs(self, kind: Any, **more: Any) -> Tensor:
        base: Any = StableDiffusionXLPipeline if self.family == "sdxl" else StableDiffusionPipeline
        options: dict[str, Any] = {} if self.family == "sdxl" else {"safety_checker": None}
        parts = base.from_pretrained(self.model, dtype=torch.float32, **options).components
        loaded = [ControlNetModel.from_pretrained(folder) for folder in self.folders]
        controlnet = loaded[0] if len(loaded) == 1 else MultiControlNetModel(loaded)
        options = {} if self.family == "sdxl" else {"requires_safety_checker": False}
        pipeline = kind(**parts, controlnet=controlnet, **options)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.scheduler = self._scheduler(pipeline.scheduler.config)
        result = pipeline(
            prompt=PROMPT,
            negative_prompt=NEGATIVE,
            num_inference_steps=STEPS,
            guidance_scale=self.guidance,
            controlnet_conditioning_scale=self._each("scale"),
            control_guidance_start=self._each("start"),
            control_guidance_end=self._each("end"),
            guess_mode=self.used[0].guess,
            width=self.size[0],
            height=self.size[1],
            output_type="latent",
            **more,
        )
        latents: Tensor = result.images[0]
        return latents

    def _each(self, name: str) -> Any:
        values = [getattr(one, name) for one in self.used]
        return values[0] if len(values) == 1 else values

    def _scheduler(self, config: Any) -> Any:
        if self.sampler == "Heun":
            return HeunDiscreteScheduler.from_config(config, timestep_spacing="linspace")
        return scheduler(self.sampler, config)

    def painted(self) -> Tensor:
        """By the pipeline that starts from noise."""
        width, height = self.size
        noise = SeededNoise(SEED, (4, height // 8, width // 8), "cpu").next()
        kind = StableDiffusionXLControlNetPipeline
        if self.family != "sdxl":
            kind = StableDiffusionControlNetPipeline
        pictures = self.shown
        return self.theirs(kind, image=pictures if len(pictures) > 1 else pictures[0], latents=noise[None])

    def ours(self, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Tensor:
        house = self.house
        controls = tuple(
            Control(f"net-{place}", upload(house, picture), "none", one.scale, one.start, one.end, one.guess)
            for place, (picture, one) in enumerate(zip(self.shown, self.used, strict=True))
        )
        seen = latents_of(monkeypatch)
        schedule = "own" if self.sampler == "DDIM" else "default"
        asked = {"sampler": self.sampler, "schedule": schedule, "steps": STEPS, "guidance": self.guidance}
        asked |= {"width": self.size[0], "height": self.size[1], "seed": SEED, "prompt": PROMPT}
        asked |= {"model": "mini", "negative_prompt": NEGATIVE, "controls": controls}
        render(make_engine(house), **(asked | more))
        return seen[-1]


@pytest.mark.parametrize(
    ("family", "sampler", "guess"),
    [
        ("sd1", "Euler", False),
        ("sd1", "DDIM", True),
        ("sd2", "DDIM", False),
        ("sdxl", "Euler", False),
        ("sdxl", "DDIM", True),
    ],
)
def test_one_net_draws_what_the_pipeline_does(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    family: str,
    sampler: str,
    guess: bool,
) -> None:
    folder = request.getfixturevalue(f"{family}_folder")
    case = Case(folder, family, tmp_path, [Net(0.8, guess=guess)], sampler)
    held = case.ours(monkeypatch)
    assert distance(held, case.painted()) < 1e-4
    case.used = []
    assert distance(held, case.ours(monkeypatch)) > 0.02  # and it is the net that does it


def test_without_guidance_guess_mode_weighs_the_layers_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sd1_folder: Path
) -> None:
    case = Case(sd1_folder, "sd1", tmp_path, [Net(guess=True)], guidance=1.0)
    assert distance(case.ours(monkeypatch), case.painted()) < 1e-4


def test_a_net_that_does_not_say_where_is_heard_by_the_wanted_side_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sd1_folder: Path
) -> None:
    case = Case(sd1_folder, "sd1", tmp_path, [Net(0.8, pools=True)])
    assert distance(case.ours(monkeypatch), case.painted()) < 1e-4


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_several_nets_are_summed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, family: str
) -> None:
    folder = request.getfixturevalue(f"{family}_folder")
    case = Case(folder, family, tmp_path, [Net(0.7), Net(0.4, 0.2, 0.6)])
    assert distance(case.ours(monkeypatch), case.painted()) < 1e-4


@pytest.mark.parametrize(
    ("sampler", "start", "end"),
    [("DDIM", 0.0, 0.3), ("DDIM", 0.5, 1.0), ("Heun", 0.25, 0.55)],
)
def test_a_net_begins_and_ends_where_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    sd1_folder: Path,
    sampler: str,
    start: float,
    end: float,
) -> None:
    """Also with a sampler of two calls a step."""
    case = Case(sd1_folder, "sd1", tmp_path, [Net(1.0, start, end)], sampler)
    assert distance(case.ours(monkeypatch), case.painted()) < 1e-3


@pytest.mark.parametrize("masked", [False, True], ids=["img2img", "inpaint"])
def test_a_net_holds_a_picture_that_starts_from_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sd1_folder: Path, masked: bool
) -> None:
    case = Case(sd1_folder, "sd1", tmp_path, [Net(0.9, end=0.7)])
    width, height = case.size
    photo, hole = a_photo(width, height, seed=9), a_mask(width, height, HOLE)
    kind = StableDiffusionControlNetInpaintPipeline if masked else StableDiffusionControlNetImg2ImgPipeline
    given = {"image": photo, "control_image": case.shown[0], "strength": 0.6}
    given |= {"mask_image": hole} if masked else {}
    expected = case.theirs(kind, generator=torch.Generator().manual_seed(SEED), **given)
    mask = Mask(upload(case.house, hole), 0, False, "original", False, 0) if masked else None
    # AUTOMATIC1111 runs int(strength * steps) + 1 steps where diffusers runs int(strength * steps).
    source = Source(upload(case.house, photo), 0.5, "stretch", mask)
    assert distance(case.ours(monkeypatch, source=source), expected) < 1e-3
