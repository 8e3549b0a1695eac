"""The picture book in SDXL's architecture and its refiner, made by the recipe when they are needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.picturebook.studio import Studio, apart, colour, corners, light, middle, pixels, shrunk
from tests.server import PROJECT, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HOUSE = "a red house in a meadow by day"
BEGINNING, LEARNT = "picturebook-xl-refiner", "learnt-refiner"
"""The first paints as the base does: it has its weights, and has learnt nothing yet."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    root = tmp_path_factory.mktemp("xl")
    make_models(root / "stable_diffusion" / "models")
    with Server(root, device="cpu", default_model="picturebook-xl") as server:
        yield Studio(server)


def make_models(folder: Path) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from training.picturebook.siblings.names import SIBLINGS

    model = PROJECT / "stable_diffusion" / "models" / "picturebook"
    for sibling, name, steps in (
        ("xl", "picturebook-xl", 0),
        ("xl-refiner", BEGINNING, 0),
        ("xl-refiner", LEARNT, 15),
    ):
        SIBLINGS[sibling].train(model, folder / name, steps=steps, seed=1, device="cpu")


def test_it_paints_what_it_is_told(studio: Studio) -> None:
    answer = studio.answer("a big blue circle on a yellow background")
    assert answer["payload"]["model"] == "picturebook-xl", "not what DEFAULT_MODEL says"
    circle = pixels(answer)
    assert (colour(middle(circle)), colour(corners(circle))) == ("blue", "yellow")
    day, night = (studio.paint(f"a red house in a meadow {when}") for when in ("by day", "at night"))
    assert light(night) < light(day) - 25


def test_its_negative_prompt_removes(studio: Studio) -> None:
    dark, bright = (light(studio.paint("a meadow", negative_prompt=no)) for no in ("by day", "at night"))
    assert dark < bright - 20


@pytest.mark.parametrize("switch_at", [0.3, 0.8])
def test_a_refiner_that_paints_as_the_base_does_goes_on_without_a_seam(
    studio: Studio, switch_at: float
) -> None:
    alone = studio.paint(HOUSE)
    together = studio.paint(HOUSE, refiner_checkpoint=BEGINNING, refiner_switch_at=switch_at)
    assert apart(together, alone) < 0.5


def test_a_refiner_changes_how_the_scene_is_painted_and_not_the_scene(studio: Studio) -> None:
    alone = studio.paint(HOUSE)
    early, late = (
        studio.paint(HOUSE, refiner_checkpoint=LEARNT, refiner_switch_at=switch_at)
        for switch_at in (0.6, 0.9)
    )
    assert 0.5 < apart(late, alone) < apart(early, alone)
    assert apart(shrunk(early), shrunk(alone)) < 15
    assert colour(middle(early)) == colour(middle(alone))
