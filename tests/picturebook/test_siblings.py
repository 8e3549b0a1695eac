"""The models and enlargers that come beside the picture book do what they are for, asked over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.picturebook.studio import apart, as_base64, colour, corners, middle, share, sharpness, shrunk

if TYPE_CHECKING:
    from tests.picturebook.studio import Studio

pytestmark = pytest.mark.slow


def painted_into(studio: Studio, hole: np.ndarray, source: np.ndarray, prompt: str) -> np.ndarray:
    """All of the hole anew, by the model for inpainting."""
    return studio.paint(
        prompt,
        "/inpaint",
        model="picturebook-inpainting",
        image=as_base64(source),
        mask=as_base64(hole * 255.0),
        mask_blur=0,
        inpainting_fill="latent noise",
        denoising_strength=1,
    )


def test_the_inpainting_model_paints_what_it_is_told_into_the_hole_alone(studio: Studio) -> None:
    source = studio.paint("a meadow by day, mountains")
    hole = np.zeros(source.shape, dtype=bool)
    hole[64:224, 64:192] = True
    painted = painted_into(studio, hole, source, "a red house in a meadow by day")
    assert np.array_equal(painted[~hole], source[~hole])
    assert share(source, "red") < 0.01
    assert share(painted[64:224, 64:192], "red") > 0.2


@pytest.mark.parametrize("background", ["yellow", "blue", "pink"])
def test_the_inpainting_model_sees_what_is_around_the_hole(studio: Studio, background: str) -> None:
    source = studio.paint(f"a big white circle on a {background} background")
    hole = np.zeros(source.shape, dtype=bool)
    hole[:, 128:] = True
    painted = painted_into(studio, hole, source, "simple")
    assert colour(painted[:30, -30:]) == background


def test_the_inpainting_model_paints_from_words_alone(studio: Studio) -> None:
    picture = studio.paint("a big red circle on a white background", model="picturebook-inpainting")
    assert (colour(middle(picture)), colour(corners(picture))) == ("red", "white")


@pytest.mark.parametrize("scale", [2, 4])
def test_an_enlarger_keeps_the_picture_and_sharpens_its_edges(studio: Studio, scale: int) -> None:
    small = studio.paint("a red house in a meadow by day")
    by_network, by_lanczos = (
        studio.paint("", "/upscale", image=as_base64(small), scale=scale, upscaler=upscaler)
        for upscaler in (f"picturebook-x{scale}", "Lanczos")
    )
    assert by_network.shape == (256 * scale, 256 * scale, 3)
    assert apart(shrunk(by_network), shrunk(small)) < 3
    assert sharpness(by_network) > 1.2 * sharpness(by_lanczos)
