"""Where a face goes and comes from, as OpenCV calculates it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from diffusionapi.engine.faces import geometry
from tests.engine.rendering import a_photo

Points = Any


def turned(scale: float, degrees: float, middle: tuple[float, float]) -> Points:
    """The template's points, so many times as large, turned, around a middle."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (geometry.TEMPLATE - 256) @ turn.T * scale + np.array(middle)


PLACES = [(0.2, 0, (150, 150)), (0.5, 25, (240, 180)), (0.9, -40, (260, 240)), (0.12, 170, (60, 300))]


@pytest.mark.parametrize("place", PLACES)
def test_the_points_come_to_the_template_as_opencv_brings_them(place: tuple[float, float, Any]) -> None:
    points = turned(*place)
    matrix = geometry.to_square(points)
    wanted, _ = cv2.estimateAffinePartial2D(points, geometry.TEMPLATE)
    assert np.allclose(matrix, wanted, atol=1e-4)
    assert np.allclose(points @ matrix[:, :2].T + matrix[:, 2], geometry.TEMPLATE, atol=1e-6)


def test_points_that_are_no_turned_template_come_as_near_as_can_be() -> None:
    """Any other turn, scale or shift in the neighbourhood is worse."""
    points = turned(0.4, 10, (200, 200)) + np.random.default_rng(0).normal(0, 4, (5, 2))
    matrix = geometry.to_square(points)

    def apart(a: float, b: float, x: float, y: float) -> float:
        here = np.array([[a, -b], [b, a]])
        return float(((points @ here.T + (x, y) - geometry.TEMPLATE) ** 2).sum())

    best = [matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2]]
    assert np.allclose(matrix[:, :2], [[best[0], -best[1]], [best[1], best[0]]])
    for number in range(4):
        for step in (-1e-3, 1e-3):
            other = list(best)
            other[number] += step
            assert apart(*other) > apart(*best)


@pytest.mark.parametrize("place", PLACES)
def test_a_face_that_is_set_back_as_it_was_leaves_the_picture_as_it_was(
    place: tuple[float, float, Any],
) -> None:
    photo = np.asarray(a_photo(480, 400).reduce(1)).astype(np.float32)
    smooth = np.rint(cv2.GaussianBlur(photo, (0, 0), 3)).astype(np.uint8)
    matrix = geometry.to_square(turned(*place))
    result = smooth.copy()
    geometry.paste(result, geometry.cut(smooth, matrix), matrix)
    assert np.abs(result.astype(int) - smooth).max() <= 2


def test_it_is_set_where_it_belongs_in_a_picture_three_times_as_large() -> None:
    smooth = cv2.GaussianBlur(np.asarray(a_photo(200, 160)), (0, 0), 4)
    larger = cv2.resize(smooth, (600, 480), interpolation=cv2.INTER_CUBIC)
    matrix = geometry.to_square(turned(0.2, 15, (100, 80)))
    result = larger.copy()
    geometry.paste(result, geometry.cut(smooth, matrix), geometry.enlarged(matrix, (3, 3)))
    assert np.abs(result.astype(int) - larger).mean() < 0.5
    assert np.abs(result.astype(int) - larger).max() <= 4


def test_what_is_painted_fades_into_the_picture_and_all_else_stays_to_the_bit() -> None:
    picture = np.full((400, 400, 3), 60, dtype=np.uint8)
    matrix = geometry.to_square(turned(0.4, 0, (200, 200)))
    geometry.paste(picture, np.full((512, 512, 3), 220, dtype=np.float32), matrix)
    row = picture[200, :, 0].astype(int)
    assert (row[:97] == 60).all()
    assert (row[-97:] == 60).all()
    assert (row[130:270] == 220).all()
    assert np.abs(np.diff(row)).max() < 14


def test_a_face_beyond_the_picture_is_cut_off_at_its_edge() -> None:
    picture = np.full((100, 100, 3), 60, dtype=np.uint8)
    for middle in ((0, 0), (500, 500)):
        matrix = geometry.to_square(turned(0.2, 0, middle))
        geometry.paste(picture, geometry.cut(picture, matrix), matrix)
        assert (picture == 60).all()
