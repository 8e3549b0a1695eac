"""The ControlNet that comes with the project: shapes are painted where a drawing has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.picturebook.studio import as_base64

if TYPE_CHECKING:
    from tests.picturebook.studio import Studio

pytestmark = pytest.mark.slow

SIDE = 256
NEAR = 3
"""Pixels from an edge that still count as on it: an eightieth of the picture."""


def a_drawing(shape: str) -> np.ndarray:
    """One shape away from the middle, where the model would put it by itself."""
    drawing = Image.new("RGB", (SIDE, SIDE), "white")
    pencil = ImageDraw.Draw(drawing)
    if shape == "circle":
        pencil.ellipse((20, 97, 148, 225), fill=(220, 40, 30))
    else:
        pencil.polygon([(159, 51), (230, 179), (87, 179)], fill=(220, 40, 30))
    return np.asarray(drawing)


def edges(picture: np.ndarray) -> np.ndarray:
    return cv2.Canny(picture.astype(np.uint8), 100, 200) > 0


def followed(drawing: np.ndarray, painted: np.ndarray) -> float:
    """How much of the drawing's edges has an edge of the painted picture near it."""
    distance = cv2.distanceTransform((~edges(painted)).astype(np.uint8), cv2.DIST_L2, 5)
    return float((distance[edges(drawing)] <= NEAR).mean())


@pytest.mark.parametrize("shape", ["circle", "triangle"])
def test_what_is_painted_has_the_edges_of_the_drawing(studio: Studio, shape: str) -> None:
    drawing = a_drawing(shape)

    def painted(**fields: Any) -> np.ndarray:
        return studio.paint(f"a red {shape} on a white background", steps=8, cfg_scale=3, **fields)

    held = {"image": as_base64(drawing), "hint": "canny", "model": "picturebook-edges"}
    assert followed(drawing, painted()) < 0.2
    assert followed(drawing, painted(controls=[held])) > 0.8
    assert followed(drawing, painted(controls=[held | {"weight": 0}])) < 0.2
