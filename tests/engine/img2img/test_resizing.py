"""The three ways of A1111 to bring a picture to another shape."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from diffusionapi.engine.img2img.resizing import RESIZE, crop, fill, stretch, unfill
from tests.engine.rendering import a_photo


def halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("blue", (width // 2, 0, width, height))
    return picture


def share_of_red(picture: Image.Image) -> float:
    return float((np.asarray(picture)[..., 0] > 127).mean())


@pytest.mark.parametrize("mode", RESIZE)
@pytest.mark.parametrize("size", [(64, 64), (120, 40), (8, 256), (333, 77)])
def test_the_size_is_the_one_asked_for(mode: str, size: tuple[int, int]) -> None:
    for kind in ("RGB", "L"):
        made = RESIZE[mode](a_photo(97, 55).convert(kind), size)  # type: ignore[index]
        assert (made.size, made.mode) == (size, kind)


@pytest.mark.parametrize("mode", RESIZE)
def test_a_picture_of_that_size_stays_as_it_is_to_the_bit(mode: str) -> None:
    photo = a_photo(64, 48)
    assert RESIZE[mode](photo, (64, 48)).tobytes() == photo.tobytes()  # type: ignore[index]


def test_stretching_keeps_all_of_it_whatever_its_shape() -> None:
    assert share_of_red(stretch(halves(100, 50), (40, 80))) == pytest.approx(0.5, abs=0.03)


def test_cropping_takes_the_middle() -> None:
    striped = Image.new("RGB", (100, 50), "blue")
    striped.paste("red", (25, 0, 75, 50))
    assert share_of_red(crop(striped, (80, 80))) == 1
    assert share_of_red(crop(striped, (40, 80))) == 1
    assert share_of_red(crop(striped, (80, 40))) == pytest.approx(0.5, abs=0.03)


def test_filling_keeps_all_of_it_and_draws_its_edges_out() -> None:
    filled = np.asarray(fill(halves(100, 50), (80, 80)))
    assert (filled[0] == filled[20]).all()
    assert (filled[-1] == filled[59]).all()
    assert tuple(filled[40, 0]) == (255, 0, 0)
    assert tuple(filled[40, -1]) == (0, 0, 255)


def test_what_is_filled_up_comes_back_in_its_place() -> None:
    photo = a_photo(100, 50)
    back = unfill(fill(photo, (200, 200)), (100, 50))
    assert np.abs(np.asarray(back, dtype=int) - np.asarray(photo, dtype=int)).mean() < 3


def test_a_mask_has_no_traces_where_there_was_none() -> None:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (32, 0, 64, 64))
    wider = np.asarray(stretch(mask, (200, 200)))
    assert not wider[:, :96].any()
