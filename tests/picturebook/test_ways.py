"""Samplers, passes, sources and add-ons change of a picture what they are for, and nothing else."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image

from diffusionapi.core.sampling import SAMPLERS
from tests.picturebook.studio import (
    apart,
    as_base64,
    corners,
    light,
    pixels,
    sharpness,
    shrunk,
)
from training.picturebook.judging.judge import judge
from training.picturebook.world.plan import Plan, Thing

if TYPE_CHECKING:
    from tests.picturebook.studio import Studio

pytestmark = pytest.mark.slow

CIRCLE = "a big red circle on a white background"
HOUSE = "a red house in a meadow by day"


@pytest.fixture(scope="module")
def circle(studio: Studio) -> np.ndarray:
    return studio.paint(CIRCLE)


@pytest.mark.long
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_paints_the_same_thing(studio: Studio, circle: np.ndarray, sampler: str) -> None:
    picture = studio.paint(CIRCLE, sampler_name=sampler, scheduler_type="default")
    assert judge(picture.astype(np.uint8), Plan((Thing("circle", "red", 0, 0, 0.7),), "white")).mistakes == ""
    assert apart(shrunk(picture), shrunk(circle)) < 20


def test_img2img_keeps_the_layout_at_low_strength(studio: Studio) -> None:
    source = studio.paint(HOUSE)
    near, far = (
        studio.paint(
            "a red house in a meadow at night",
            "/img2img",
            image=as_base64(source),
            denoising_strength=strength,
        )
        for strength in (0.3, 0.9)
    )
    assert apart(shrunk(near), shrunk(source)) < 0.6 * apart(shrunk(far), shrunk(source))
    assert light(far) < light(near) < light(source) + 5


def test_inpaint_changes_only_the_mask(studio: Studio) -> None:
    source = studio.paint("a meadow by day, mountains")
    mask = np.zeros_like(source)
    mask[96:224, 64:192] = 255
    painted = studio.paint(
        "a red house in a meadow by day",
        "/inpaint",
        image=as_base64(source),
        mask=as_base64(mask),
        mask_blur=0,
        denoising_strength=1,
    )
    outside = mask == 0
    assert np.array_equal(painted[outside], source[outside])
    assert apart(painted[96:224, 64:192], source[96:224, 64:192]) > 10


@pytest.mark.parametrize("upscaler", ["Latent", "picturebook-x2"])
def test_hires_keeps_the_scene_and_sharpens_its_edges(studio: Studio, upscaler: str) -> None:
    plain = studio.paint(HOUSE)
    large = studio.paint(
        HOUSE,
        hires={"enabled": True, "scale": 2, "upscaler": upscaler, "denoising_strength": 0.4, "steps": 12},
    )
    assert large.shape == (512, 512, 3)
    assert apart(shrunk(large), shrunk(plain)) < 25
    stretched = np.asarray(
        Image.fromarray(plain.astype(np.uint8)).resize((512, 512), Image.Resampling.BILINEAR),
        dtype=np.float32,
    )
    assert sharpness(large) > 1.4 * sharpness(stretched)


def test_a_lora_acts_as_its_scale_says(studio: Studio) -> None:
    brightness = [light(studio.paint(f"{HOUSE} <lora:picturebook-night:{scale}>")) for scale in (0, 0.5, 1)]
    assert brightness == sorted(brightness, reverse=True)
    assert brightness[2] < brightness[0] - 25


def test_the_lora_in_the_other_format_acts_too(studio: Studio) -> None:
    green, autumn = (
        studio.paint(f"a forest by day <lora:picturebook-autumn:{scale}>").reshape(-1, 3).mean(0)
        for scale in (0, 1)
    )
    assert (autumn[0] - autumn[1]) > (green[0] - green[1]) + 15


def test_a_textual_inversion_paints_what_no_word_says(studio: Studio) -> None:
    assert teal(studio.paint("a red circle on a picturebook-teal background"))
    assert not teal(studio.paint("a red circle on a teal background"))


def teal(picture: np.ndarray) -> bool:
    red, green, blue = corners(picture).reshape(-1, 3).mean(0)
    return bool(min(green, blue) > red + 40 and abs(green - blue) < 60)


@pytest.mark.parametrize(
    "asked",
    [
        {"negative_prompt": "by day", "sampler_name": "Euler a"},
        {"hires": {"enabled": True, "scale": 1.5, "upscaler": "picturebook-x2", "steps": 8}},
    ],
    ids=["plain", "hires"],
)
def test_the_settings_in_a_file_give_the_same_picture(studio: Studio, asked: dict[str, Any]) -> None:
    made = studio.answer("a gray castle in the snow (at night:1.2) <lora:picturebook-autumn:0.5>", **asked)
    read = httpx.post(studio.server.url + "/img-info", json={"image": made["image"]}, timeout=30).json()
    again = studio.answer(**read["request"])
    assert np.array_equal(pixels(made), pixels(again))
    assert "parameters" in Image.open(io.BytesIO(base64.b64decode(again["image"]))).info


def test_an_answer_says_which_model_was_used(studio: Studio) -> None:
    answer = studio.answer(CIRCLE)
    assert answer["payload"]["model"] == "picturebook"
