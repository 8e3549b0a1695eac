"""What stands in for a picture that may not be shown."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from PIL import Image

from diffusionapi.core.request import Blanking
from diffusionapi.engine.blanking import NOTICES, blanked
from tests.engine.rendering import a_photo, pixels

KINDS: tuple[Blanking, ...] = get_args(Blanking)


@pytest.mark.parametrize("size", [(64, 64), (512, 768), (333, 100)])
@pytest.mark.parametrize("how", KINDS)
def test_it_is_as_large_and_tells_next_to_nothing_of_the_picture(
    how: Blanking, size: tuple[int, int]
) -> None:
    """What is left of it does not tell it from one with the same colours in ten fields."""
    photo = a_photo(*size)
    dice = np.random.default_rng(1).integers(-60, 61, (size[1], size[0], 3))
    fine = Image.fromarray((pixels(photo) * 0.5 + 64 + dice).clip(0, 255).astype(np.uint8))
    smooth = Image.fromarray((pixels(photo) * 0.5 + 64).astype(np.uint8))
    one, other = blanked(fine, how), blanked(smooth, how)
    assert one.size == size
    assert one.mode == "RGB"
    assert np.abs(pixels(one) - pixels(other)).mean() < 12
    assert how in NOTICES[how]


def test_black_and_text_show_nothing_of_it_and_text_is_black_on_white() -> None:
    photos = a_photo(256, 320, 1), a_photo(256, 320, 2)
    for how in ("black", "text"):
        assert blanked(photos[0], how).tobytes() == blanked(photos[1], how).tobytes()
    page = pixels(blanked(photos[0], "text"))
    assert page[0].min() == page[:, 0].min() == page[-1].min() == page[:, -1].min() == 255
    assert page.min() == 0
    assert 0.005 < (page < 128).mean() < 0.3


def test_pixels_are_as_large_as_a_tenth_of_the_longer_side() -> None:
    squares = pixels(blanked(a_photo(400, 200), "pixelated"))
    assert len(np.unique(squares.reshape(-1, 3), axis=0)) <= 10 * 5
    assert (squares[:40, :40] == squares[0, 0]).all()


def test_blurred_keeps_the_colours_of_large_fields_and_no_edge() -> None:
    half = Image.new("RGB", (400, 400), "red")
    half.paste("blue", (200, 0, 400, 400))
    blurred = pixels(blanked(half, "blurred"))
    assert np.abs(np.diff(blurred, axis=1)).max() < 12
    assert blurred[200, 10].argmax() == 0
    assert blurred[200, -10].argmax() == 2
