"""The picture book's scorer, on drawings that are right by construction and on ones that are not."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from training.picturebook import judging
from training.picturebook.judging.asked import prompts
from training.picturebook.judging.judge import Seen, Verdict, against, judge
from training.picturebook.judging.table import TARGETS, Table
from training.picturebook.score import measure
from training.picturebook.world.captions import plain_caption
from training.picturebook.world.paint import paint, silhouette
from training.picturebook.world.plan import COLOURS, SHAPES, Plan, Thing

PROMPTS = 64


def photographed(picture: np.ndarray, blur: float, noise: float, seed: int) -> np.ndarray:
    """`blur` in pixels of a picture of 512."""
    radius = blur * len(picture) / 512
    soft = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))
    grain = np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.clip(soft + grain, 0, 255).astype(np.uint8)


def drawn(plan: Plan, size: int = 512) -> np.ndarray:
    return photographed(paint(plan, size, size), 2, 8, plan.seed)


def shares(verdicts: list[Verdict]) -> dict[str, float]:
    asked, right = Counter[str](), Counter[str]()
    for verdict in verdicts:
        asked.update(list(verdict.right))
        right.update(question for question, is_right in verdict.right.items() if is_right)
    return {question: right[question] / asked[question] for question in asked}


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return prompts(PROMPTS, 1)


@pytest.fixture(scope="module")
def seen(plans: list[Plan]) -> list[Seen]:
    return [judge(drawn(plan, 512 if i % 2 else 256), plan).seen for i, plan in enumerate(plans)]


def test_true_drawings_are_right(plans: list[Plan], seen: list[Seen]) -> None:
    found = shares([against(one, plan) for one, plan in zip(seen, plans, strict=True)])
    assert set(found) == set(TARGETS)
    assert min(found.values()) >= 0.98, found


def test_drawings_of_something_else_are_right_by_chance_alone(plans: list[Plan], seen: list[Seen]) -> None:
    """Of another picture of the same kind."""
    rng = Random(2)  # noqa: S311
    verdicts = []
    for plan in plans:
        mates = [
            one
            for other, one in zip(plans, seen, strict=True)
            if other is not plan and against(one, other).right.keys() == against(one, plan).right.keys()
        ]
        verdicts += [against(one, plan) for one in rng.choices(mates, k=8)]
    found = shares(verdicts)
    chances = {"colour": 11, "background": 11, "time": 4, "ground": 6, "object": 12, "shape": 8}
    for question, choices in chances.items():
        assert found[question] < 1 / choices + 0.1, (question, found)


def on_its_ground(plan: Plan) -> Image.Image:
    """The picture without its subject."""
    return Image.fromarray(
        paint(Plan((), plan.background, plan.ground, plan.time, plan.extras, plan.seed), 512, 512)
    )


def disc(plan: Plan) -> np.ndarray:
    """As large as the subject, in its colour."""
    image, thing = on_its_ground(plan), plan.things[0]
    x, y, r = 256 + 512 * thing.x, 256 + 512 * thing.y, 256 * thing.size * 0.9
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), COLOURS[thing.colour])
    return np.asarray(image)


def cutting(plan: Plan) -> np.ndarray:
    """The subject's outline filled with its colour."""
    image, thing = on_its_ground(plan), plan.things[0]
    side = round(512 * thing.size)
    corner = (round(256 + 512 * thing.x - side / 2), round(256 + 512 * thing.y - side / 2))
    image.paste(COLOURS[thing.colour], corner, Image.fromarray(silhouette(thing.name, side)))
    return np.asarray(image)


def blurred(plan: Plan) -> np.ndarray:
    return photographed(paint(plan, 512, 512), 10, 0, 0)


def test_what_is_blurred_is_neither_object_nor_shape(plans: list[Plan]) -> None:
    found = shares([judge(blurred(plan), plan) for plan in plans[:24] if plan.things])
    assert found["object"] <= 0.05
    assert found["shape"] <= 0.05
    assert found["background"] == 1
    assert found["colour"] > 0.95


def test_discs_are_neither_objects_nor_other_shapes(plans: list[Plan]) -> None:
    asked = [plan for plan in plans if plan.things and plan.things[0].name != "circle"][:24]
    found = shares([judge(disc(plan), plan) for plan in asked])
    assert found["object"] <= 0.05
    assert found["shape"] == 0
    assert found["colour"] > 0.95


def test_an_outline_without_its_inside_is_no_object(plans: list[Plan]) -> None:
    asked = [plan for plan in plans if plan.things and plan.things[0].name not in SHAPES][:20]
    assert shares([judge(cutting(plan), plan) for plan in asked])["object"] <= 0.15


def test_nothing_is_seen_where_nothing_is(plans: list[Plan]) -> None:
    asked = [plan for plan in plans if plan.things][:24]
    verdicts = [judge(np.asarray(on_its_ground(plan)), plan) for plan in asked]
    assert all(verdict.seen.shape is None for verdict in verdicts)
    assert sum(verdict.seen.object is not None for verdict in verdicts) <= 1
    assert all(verdict.right.get("ground", True) and verdict.right.get("time", True) for verdict in verdicts)


@pytest.mark.parametrize("value", [0, 127, 255])
def test_an_empty_picture_is_only_its_background(value: int) -> None:
    picture = np.full((64, 96, 3), value, dtype=np.uint8)
    for name in ("cat", "star"):
        seen = judge(picture, Plan((Thing(name, "red", 0, 0, 0.5),), "blue")).seen
        assert (seen.colour, seen.object, seen.shape) == (None, None, None)
    assert judge(picture, Plan((Thing("cat", "red", 0, 0, 0.5),), None, "snow", "day")).seen.object is None


def test_a_speck_changes_no_shape() -> None:
    plan = Plan((Thing("star", "red", 0.02, -0.03, 0.5),), "blue")
    picture = paint(plan, 256, 256)
    picture[6:16, 240:252] = 255
    assert not judge(picture, plan).wrong


def test_prompts_are_held_out_and_of_all_kinds() -> None:
    plans = prompts(200, 3)
    assert plans == prompts(200, 3)
    assert plans != prompts(200, 4)
    assert len({plain_caption(plan) for plan in plans}) == 200
    things = [plan for plan in plans if plan.things]
    assert all(plan.held_out and len(plan.things) == 1 for plan in things)
    assert len(plans) - len(things) == 10
    assert sum(plan.ground is not None for plan in plans) == 100
    assert sum(plan.things[0].name in SHAPES for plan in things) == 50


def test_the_table_counts(plans: list[Plan]) -> None:
    plain = [plan for plan in plans if plan.background][:4]
    captions = [plain_caption(plan) for plan in plain]
    table = Table("All but one are right:")
    pictures = [paint(plan, 128, 128) for plan in plain[:3]] + [np.full((128, 128, 3), 90, dtype=np.uint8)]
    shown = measure(plain, captions, pictures, table)
    assert [one.size for one in shown] == [(128, 128)] * 4
    assert np.array_equal(np.asarray(shown[0]), pictures[0])
    assert not np.array_equal(np.asarray(shown[3]), pictures[3])
    assert table.share("background") == 0.75
    assert table.share("time") is None
    assert len(table.mistakes) == 1
    assert table.mistakes[0].startswith(captions[3])
    assert "| colour of the background |" in str(table)
    assert "75.0%" in str(table)


def test_more_prompts_than_there_are_is_an_error_and_no_endless_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.picturebook.judging.asked.TRIES", 20)
    with pytest.raises(ValueError, match="no 1000 prompts that differ"):
        prompts(1000, 3)


def test_the_judges_know_no_caption() -> None:
    for file in Path(judging.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                named = [getattr(node, "module", None) or "", *(one.name for one in node.names)]
                assert not any("caption" in one for one in named), file.name
