"""The ControlNet that comes with the project: shapes are painted where a drawing has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from diffusionapi.core.request import Control
from tests.engine.rendering import make_engine, make_house, render, upload
from tests.server import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings

BUNDLED = PROJECT / "stable_diffusion"
SIDE = 256
NEAR = 3
"""Pixels from an edge that still count as on it: an eightieth of the picture."""


@pytest.fixture
def house(tmp_path: Path) -> Settings:
    settings = make_house(tmp_path, {"picturebook": BUNDLED / "models" / "picturebook"})
    settings.path(settings.controlnet_dir).symlink_to(BUNDLED / "controlnet")
    return settings


def a_drawing(shape: str) -> Image.Image:
    """One shape away from the middle, where the model would put it by itself."""
    drawing = Image.new("RGB", (SIDE, SIDE), "white")
    pencil = ImageDraw.Draw(drawing)
    if shape == "circle":
        pencil.ellipse((20, 97, 148, 225), fill=(220, 40, 30))
    else:
        pencil.polygon([(159, 51), (230, 179), (87, 179)], fill=(220, 40, 30))
    return drawing


def edges(picture: Image.Image) -> np.ndarray:
    return cv2.Canny(np.asarray(picture.convert("RGB")), 100, 200) > 0


def followed(drawing: Image.Image, painted: Image.Image) -> float:
    """How much of the drawing's edges has an edge of the painted picture near it."""
    distance = cv2.distanceTransform((~edges(painted)).astype(np.uint8), cv2.DIST_L2, 5)
    return float((distance[edges(drawing)] <= NEAR).mean())


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["circle", "triangle"])
def test_what_is_painted_has_the_edges_of_the_drawing(house: Settings, shape: str) -> None:
    drawing, engine = a_drawing(shape), make_engine(house)
    used = Control("picturebook-edges", upload(house, drawing), "canny", 1.0, 0.0, 1.0, False)
    free, held = (
        render(
            engine,
            model="picturebook",
            prompt=f"a red {shape} on a white background",
            negative_prompt="",
            width=SIDE,
            height=SIDE,
            steps=8,
            guidance=3.0,
            sampler="DPM++ 2M",
            schedule="karras",
            controls=controls,
        )
        for controls in ((), (used,))
    )
    assert followed(drawing, free) < 0.2
    assert followed(drawing, held) > 0.8
