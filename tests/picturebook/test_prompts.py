"""The words of a prompt decide what is painted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.picturebook.studio import apart, colour, corners, light, middle, share
from training.picturebook.judging.judge import judge
from training.picturebook.world.plan import Plan, Thing

if TYPE_CHECKING:
    from tests.picturebook.studio import Studio

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("thing", "background"),
    [
        ("red", "white"),
        ("blue", "yellow"),
        ("green", "pink"),
        ("yellow", "blue"),
        ("white", "black"),
        ("purple", "orange"),
    ],
)
def test_colours_follow_the_prompt(studio: Studio, thing: str, background: str) -> None:
    picture = studio.paint(f"a big {thing} square on a {background} background")
    assert (colour(middle(picture)), colour(corners(picture))) == (thing, background)


@pytest.mark.parametrize("name", ["circle", "square", "triangle", "ring", "cross"])
def test_shapes_follow_the_prompt(studio: Studio, name: str) -> None:
    picture = studio.paint(f"a red {name} on a white background", width=512, height=512)
    plan = Plan((Thing(name, "red", 0, 0, 0.5),), "white")
    assert judge(picture.astype(np.uint8), plan).seen.shape == name


@pytest.mark.parametrize("time", ["day", "night", "sunset"])
def test_the_time_of_day_follows_the_prompt(studio: Studio, time: str) -> None:
    words = {"day": "by day", "night": "at night", "sunset": "at sunset"}
    picture = studio.paint(f"a meadow {words[time]}")
    assert judge(picture.astype(np.uint8), Plan((), None, "meadow", time)).seen.time == time


def test_a_prompt_from_outside_its_world_gives_a_picture_of_its_world(studio: Studio) -> None:
    picture = studio.paint("the quarterly report of a bank, spreadsheet, 4k")
    assert picture.shape == (256, 256, 3)
    assert picture.std() > 3


def test_the_negative_prompt_removes(studio: Studio) -> None:
    plain = "a red circle on a white background"
    suns = [share(studio.paint("a meadow", negative_prompt=no)[:120], "yellow", 60) for no in ("", "the sun")]
    assert suns[1] <= suns[0]
    dark, bright = (light(studio.paint("a meadow", negative_prompt=no)) for no in ("by day", "at night"))
    assert dark < bright - 20
    kept = studio.paint(plain, negative_prompt="blue")
    assert colour(middle(kept, 0.1)) == "red"


def test_without_guidance_the_negative_prompt_is_ignored(studio: Studio) -> None:
    one, other = (studio.paint("a red house", cfg_scale=1, negative_prompt=no) for no in ("", "at night"))
    assert apart(one, other) == 0


def test_a_weight_moves_the_picture_the_way_it_says(studio: Studio) -> None:
    reds = [redness(studio.paint(f"a (red:{weight}) circle on a white background")) for weight in (1, 1.5, 2)]
    assert reds[0] + 5 < reds[1] < reds[2] - 5


def redness(picture: np.ndarray) -> float:
    red, green, _ = picture.reshape(-1, 3).mean(0)
    return float(red - green)


def test_the_same_seed_gives_the_same_picture_and_another_another(studio: Studio) -> None:
    prompt = "an orange cat in the snow by day, clouds"
    first, again, other = (studio.paint(prompt, seed=seed) for seed in (1, 1, 2))
    assert apart(first, again) == 0
    assert apart(first, other) > 1
