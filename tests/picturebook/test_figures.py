"""What card and page say of the model: the recipe's text, its size, figures that reach the targets."""

from __future__ import annotations

import json
import re
from math import prod
from typing import TYPE_CHECKING

import pytest

from tests.picturebook.studio import MODEL
from tests.server import PROJECT
from training.picturebook import card
from training.picturebook.judging.table import NAMES, TARGETS

if TYPE_CHECKING:
    from pathlib import Path

CARD = (MODEL / card.NAME).read_text()
PAGE = " ".join((PROJECT / "docs" / "picture-book.md").read_text().split())
RIGHT = dict(re.findall(r"^\| (.+?) \|.* ([\d.]+)% \| \d+% \|$", CARD, re.MULTILINE))


@pytest.mark.parametrize("question", TARGETS)
def test_a_figure_reaches_its_target_and_is_the_same_everywhere(question: str) -> None:
    share = float(RIGHT[NAMES[question]])
    assert share >= 100 * TARGETS[question]
    assert f"{NAMES[question]} {share:g} %" in PAGE


def test_what_fits_line_by_line_is_told_everywhere() -> None:
    (share,) = re.findall(r"(\d+)% of the objects are drawn so that an ideal drawing fits", CARD)
    assert f"only {share} % fit an ideal drawing line by line" in PAGE


def test_the_card_is_the_recipes_with_figures(tmp_path: Path) -> None:
    (samples,) = re.findall(r"\(([\d ]+) pictures, v-prediction\)", CARD)
    parameters = sum(map(weights, MODEL.rglob("*.safetensors")))
    size = sum(file.stat().st_size for file in MODEL.rglob("*") if file.is_file()) - len(CARD.encode())
    card.write(tmp_path, parameters=parameters, size=size, samples=int(samples.replace(" ", "")))
    assert without_figures((tmp_path / card.NAME).read_text()) == without_figures(CARD)


def weights(file: Path) -> int:
    """How many a file of safetensors holds, by its header."""
    with file.open("rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    return sum(prod(one["shape"]) for name, one in header.items() if name != "__metadata__")


def without_figures(text: str) -> str:
    before, _, rest = text.partition("<!-- figures -->")
    return before + rest.partition("<!-- /figures -->")[2]
