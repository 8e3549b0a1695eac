"""Brings a face upright to the square that restorers know, and what they made of it back into the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 512
"""Pixels of the square."""
TEMPLATE = np.array(
    [
        (192.98138, 239.94708),
        (318.90277, 240.1936),
        (256.63416, 314.01935),
        (201.26117, 371.41043),
        (313.08905, 371.15118),
    ]
)
"""Where the eyes, the nose and the corners of the mouth are in it: the mean of FFHQ, which GFPGAN and
RestoreFormer were trained on."""
_FADE = 64
"""Pixels of the square over which its edges fade into the picture."""

Matrix = Any
"""Two rows and three columns: from points of one picture to those of another (0 is a pixel's middle)."""
Levels = Any
"""An array of height, width and channels."""


def to_square(points: NDArray[np.float64]) -> Matrix:
    """The turn, scale and shift that bring the points nearest to the template (Umeyama 1991)."""
    middle, wanted = points.mean(axis=0), TEMPLATE.mean(axis=0)
    apart, goal = points - middle, TEMPLATE - wanted
    first, stretch, second = np.linalg.svd(goal.T @ apart / len(points))
    mirrored = np.diag([1.0, np.sign(np.linalg.det(first @ second))])
    scale = (stretch * np.diag(mirrored)).sum() / (apart**2).sum() * len(points)
    turn = scale * first @ mirrored @ second
    return np.column_stack([turn, wanted - turn @ middle])


def enlarged(matrix: Matrix, scale: tuple[float, float]) -> Matrix:
    """The same way from a picture that is so many times as wide and as high."""
    widths = np.array(scale)
    smaller = np.column_stack([np.diag(1 / widths), (1 / widths - 1) / 2])
    return matrix @ np.vstack([smaller, [0, 0, 1]])


def cut(levels: Levels, matrix: Matrix) -> Levels:
    """The face in its square. What lies beyond the picture repeats its edge."""
    shrunk, matrix = _shrunk(levels, matrix, _factor(matrix))
    return cv2.warpAffine(
        shrunk, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def paste(levels: Levels, square: Levels, matrix: Matrix) -> None:
    """Set what is in the square at the face's place; around it both fade into each other."""
    left, top, right, bottom = _around(matrix, levels.shape[1], levels.shape[0])
    if left >= right or top >= bottom:
        return
    back = cv2.invertAffineTransform(matrix) - np.array([[0, 0, left], [0, 0, top]])
    size = right - left, bottom - top
    (face, smaller), (mask, seen) = (_shrunk(one, back, _factor(back)) for one in (square, _mask()))
    face = cv2.warpAffine(face, smaller, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(mask, seen, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    place = levels[top:bottom, left:right]
    mixed = place + (face.astype(np.float32) - place) * share[..., None]
    place[:] = np.clip(np.rint(mixed), 0, 255)


def _around(matrix: Matrix, width: int, height: int) -> tuple[int, int, int, int]:
    """The box in the picture that the square lies in: left, top, right, bottom."""
    corners = np.array([(x, y, 1) for x in (0, SIDE) for y in (0, SIDE)])
    places = corners @ cv2.invertAffineTransform(matrix).T
    (left, top), (right, bottom) = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0)) + 1
    return max(int(left), 0), max(int(top), 0), min(int(right), width), min(int(bottom), height)


def _mask() -> Levels:
    """One inside, down to nothing at the edges of the square."""
    ramp = np.clip(np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1]) / _FADE, 0, 1)
    smooth = ramp * ramp * (3 - 2 * ramp)
    return np.outer(smooth, smooth).astype(np.float32)


def _factor(matrix: Matrix) -> int:
    """By how much what is made smaller has to be made smaller before: warping looks at neighbours only."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return max(int(1 / scale), 1)


def _shrunk(levels: Levels, matrix: Matrix, factor: int) -> tuple[Levels, Matrix]:
    if factor == 1:
        return levels, matrix
    size = max(levels.shape[1] // factor, 1), max(levels.shape[0] // factor, 1)
    smaller = cv2.resize(levels, size, interpolation=cv2.INTER_AREA)
    return smaller, enlarged(matrix, (size[0] / levels.shape[1], size[1] / levels.shape[0]))
