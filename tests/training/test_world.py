"""The picture book's world: what its training and its scorer take for granted."""

from __future__ import annotations

from itertools import combinations
from random import Random

import numpy as np
import pytest

from training.picturebook.world.paint import paint, silhouette
from training.picturebook.world.plan import (
    COLOURS,
    EXTRAS,
    GROUNDS,
    OBJECTS,
    SHAPES,
    TIMES,
    Plan,
    Thing,
    extras_for,
    random_plan,
)

LANDS = tuple(ground for ground in GROUNDS if ground != "space")


def another(colour: str) -> str:
    return next(one for one in COLOURS if one != colour)


def scene(ground: str, time: str, *extras: str, seed: int = 1) -> Plan:
    return Plan((), None, ground, time, frozenset(extras), seed)


def mean(part: np.ndarray) -> np.ndarray:
    found: np.ndarray = part.reshape(-1, 3).mean(axis=0)
    return found


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(mean(one) - mean(other)))


def test_a_plan_always_gives_the_same_picture() -> None:
    rng = Random(3)  # noqa: S311
    for plan in [random_plan(rng) for _ in range(20)]:
        assert np.array_equal(paint(plan, 96, 96), paint(plan, 96, 96))


def test_another_seed_gives_another_scene_and_the_same_plain_picture() -> None:
    assert not np.array_equal(
        paint(scene("meadow", "day", seed=1), 64, 64), paint(scene("meadow", "day", seed=2), 64, 64)
    )
    thing = Thing("cat", "red", 0, 0, 0.5)
    assert np.array_equal(
        paint(Plan((thing,), "blue", seed=1), 64, 64), paint(Plan((thing,), "blue", seed=2), 64, 64)
    )


def test_a_picture_may_be_written_to() -> None:
    assert paint(scene("sea", "day"), 64, 64).flags.writeable


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_and_its_background_have_their_exact_colours(shape: str) -> None:
    for colour, rgb in COLOURS.items():
        background = COLOURS[another(colour)]
        picture = paint(Plan((Thing(shape, colour, 0, 0, 0.5),), another(colour)), 128, 128)
        middle = background if shape == "ring" else rgb
        assert tuple(picture[64, 64]) == middle
        assert {tuple(picture[y, x]) for y in (0, 127) for x in (0, 127)} == {background}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_covers_its_silhouette_and_nothing_else(shape: str) -> None:
    picture = paint(Plan((Thing(shape, "red", 0, 0, 1),), "white"), 256, 256)
    red = (picture == COLOURS["red"]).all(axis=2)
    outline = silhouette(shape, 256)
    assert (red & outline).sum() / (red | outline).sum() > 0.97


@pytest.mark.parametrize("name", SHAPES + OBJECTS)
def test_a_silhouette_fills_its_unit_box(name: str) -> None:
    outline = silhouette(name, 128)
    assert outline.dtype == bool
    assert outline.shape == (128, 128)
    sides = [int(np.ptp(np.flatnonzero(outline.any(axis=axis)))) + 1 for axis in (0, 1)]
    assert max(sides) == 128


def test_silhouettes_differ() -> None:
    for one, other in combinations(SHAPES + OBJECTS, 2):
        a, b = silhouette(one, 96), silhouette(other, 96)
        assert (a & b).sum() / (a | b).sum() < 0.9, (one, other)


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_mostly_of_its_colour(name: str) -> None:
    outline = silhouette(name, 192)
    for colour, rgb in COLOURS.items():
        picture = paint(Plan((Thing(name, colour, 0, 0, 1),), another(colour)), 192, 192)
        assert (picture[outline] == rgb).all(axis=1).mean() >= 0.55, colour


@pytest.mark.parametrize("time", TIMES)
def test_no_light_changes_a_thing(time: str) -> None:
    thing = Thing("house", "pink", 0, 0.12, 0.5)
    outline = silhouette("house", 128)
    picture = paint(Plan((thing,), None, "meadow", time), 256, 256)
    top, left = round(128 + 0.12 * 256) - 64, 64
    cut = picture[top : top + 128, left : left + 128]
    assert (cut[outline] == COLOURS["pink"]).all(axis=1).mean() >= 0.54


def test_two_things_stand_side_by_side() -> None:
    things = (Thing("circle", "red", -0.25, 0, 0.36), Thing("square", "blue", 0.25, 0, 0.36))
    picture = paint(Plan(things, "white"), 128, 128)
    assert tuple(picture[64, 32]) == COLOURS["red"]
    assert tuple(picture[64, 96]) == COLOURS["blue"]


def test_the_sky_tells_the_time() -> None:
    for ground in LANDS:
        skies = [paint(scene(ground, time), 96, 96)[:32] for time in TIMES]
        assert min(apart(one, other) for one, other in combinations(skies, 2)) > 45, ground


def test_the_ground_tells_the_place() -> None:
    for time in TIMES:
        lands = {ground: paint(scene(ground, time), 96, 96)[70:] for ground in LANDS}
        if time == "night":
            lands["space"] = paint(scene("space", time), 96, 96)[70:]
        for one, other in combinations(lands, 2):
            assert apart(lands[one], lands[other]) > 25, (time, one, other)


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_seen_wherever_it_can_be(extra: str) -> None:
    places = [(ground, time) for ground in LANDS for time in TIMES] + [("space", "night")]
    for ground, time in places:
        if extra in extras_for(ground, time):
            without, with_it = (paint(scene(ground, time, *one), 96, 96) for one in ((), (extra,)))
            changed = np.abs(with_it.astype(int) - without).sum(axis=2) > 24
            assert changed.mean() > 0.004, (ground, time)


@pytest.mark.parametrize(
    ("width", "height"), [(128, 128), (256, 160), (96, 160), (768, 64), (64, 256), (8, 8)]
)
def test_any_shape_of_picture_is_filled(width: int, height: int) -> None:
    for ground in GROUNDS:
        time = "night" if ground == "space" else "day"
        thing = Thing("balloon", "red", 0, 0, 0.5)
        extras = frozenset(extras_for(ground, time))
        picture = paint(Plan((thing,), None, ground, time, extras), width, height)
        assert picture.shape == (height, width, 3)
        assert picture.dtype == np.uint8
        assert (picture.reshape(-1, 3).max(axis=1) > 0).all()
