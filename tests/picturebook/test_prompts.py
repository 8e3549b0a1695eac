"""The words of a prompt decide what is painted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.picturebook.studio import apart, colour, corners, light, middle, share
from training.picturebook.judging.asked import prompts
from training.picturebook.judging.judge import judge
from training.picturebook.judging.table import TARGETS
from training.picturebook.world.captions import plain_caption
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


@pytest.mark.parametrize(
    "plan",
    [
        Plan((Thing("house", "red", 0, 0, 0.5),), "white"),
        Plan((Thing("cat", "orange", 0, 0, 0.5),), "blue"),
        Plan((Thing("rocket", "red", 0, 0, 0.5),), "purple"),
        Plan((Thing("boat", "orange", 0, 0, 0.5),), None, "sea", "day"),
        Plan((Thing("mushroom", "red", 0, 0, 0.5),), None, "forest", "day"),
        Plan((Thing("snowman", "white", 0, 0, 0.5),), None, "snow", "sunset"),
    ],
    ids=plain_caption,
)
def test_objects_follow_the_prompt(studio: Studio, plan: Plan) -> None:
    picture = studio.paint(plain_caption(plan), width=512, height=512)
    assert judge(picture.astype(np.uint8), plan).mistakes == ""


@pytest.mark.parametrize(
    "plan",
    [
        Plan((), None, "meadow", "day"),
        Plan((), None, "meadow", "night"),
        Plan((), None, "forest", "sunrise"),
        Plan((), None, "sea", "sunset"),
        Plan((), None, "snow", "day"),
        Plan((), None, "desert", "sunset"),
        Plan((), None, "space", "night"),
    ],
    ids=plain_caption,
)
def test_time_and_ground_follow_the_prompt(studio: Studio, plan: Plan) -> None:
    picture = studio.paint(plain_caption(plan))
    assert judge(picture.astype(np.uint8), plan).mistakes == ""


@pytest.mark.parametrize(
    "prompt",
    [
        "the quarterly report of a bank, spreadsheet, 4k",
        "?",
        "\u043a\u0440\u0430\u0441\u043d\u044b\u0439 \u043a\u0440\u0443\u0433, \u8d64\u3044\u4e38, \U0001f30b",
        "a dragon made of old newspapers under a glass bridge " * 30,
    ],
    ids=["office", "sign", "alphabets", "300 words"],
)
def test_a_prompt_from_outside_its_world_gives_a_picture_of_its_world(studio: Studio, prompt: str) -> None:
    picture = studio.paint(prompt)
    assert picture.shape == (256, 256, 3)
    assert picture.std() > 3


@pytest.mark.long
@pytest.mark.timeout(300)
def test_what_it_never_saw_is_painted_right(studio: Studio) -> None:
    """A sixth of what the scorer asks for, by the server instead of diffusers."""
    asked, right = Counter[str](), Counter[str]()
    for number, plan in enumerate(prompts(32, 7)):
        picture = studio.paint(plain_caption(plan), width=512, height=512, seed=number)
        verdict = judge(picture.astype(np.uint8), plan)
        asked.update(list(verdict.right))
        right.update(question for question, is_right in verdict.right.items() if is_right)
    for question, target in TARGETS.items():
        assert right[question] >= target * asked[question] - 1, (question, right[question], asked[question])


def test_the_negative_prompt_removes(studio: Studio) -> None:
    hills = "a meadow by day, mountains"
    tall, flat = (share(studio.paint(hills, negative_prompt=no), "purple") for no in ("", "mountains"))
    assert flat < 0.4 * tall
    dark, bright = (light(studio.paint("a meadow", negative_prompt=no)) for no in ("by day", "at night"))
    assert dark < bright - 20
    kept = studio.paint("a red circle on a white background", negative_prompt="blue")
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
