"""Finds faces and five points in each, by OpenCV's YuNet (Wu et al. 2023, doi 10.1007/s11633-023-1423-y)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from diffusionapi.errors import BrokenModel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_SIDES = (640, 1600)
"""Of a picture's longer side. YuNet knows faces of 10 to 300 pixels: large ones are found at the first size,
small ones at the second."""
_SURE = 0.7
_SAME = 0.4
"""Overlap (intersection over union) from which on two boxes show one face."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    points: NDArray[np.float64]
    """Eyes, tip of the nose, corners of the mouth, each pair from left to right in the picture: x and y."""
    score: float


class Detector:
    def __init__(self, path: Path) -> None:
        try:
            self._network: Any = cv2.FaceDetectorYN.create(str(path), "", (320, 320), _SURE)
        except cv2.error as error:
            raise BrokenModel(path, "OpenCV cannot read it; download it again") from error

    def faces(self, picture: Image.Image) -> list[Face]:
        """From the surest to the least sure."""
        longer = max(picture.size)
        sides = [min(_SIDES[0], longer), *(min(side, longer) for side in _SIDES[1:] if longer > _SIDES[0])]
        rows = np.concatenate([self._rows(picture, side / longer) for side in sides])
        if not len(rows):
            return []
        kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), _SURE, _SAME)
        faces = [Face(rows[one, 4:14].reshape(5, 2), float(rows[one, 14])) for one in np.ravel(kept)]
        return sorted(faces, key=lambda face: -face.score)

    def _rows(self, picture: Image.Image, scale: float) -> NDArray[np.float64]:
        """What YuNet tells: box (left, top, width, height), points, score; in pixels of the picture."""
        size = max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)
        smaller = picture.convert("RGB").resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        self._network.setInputSize(size)
        _, found = self._network.detect(np.ascontiguousarray(np.asarray(smaller)[:, :, ::-1]))
        rows = np.zeros((0, 15)) if found is None else np.asarray(found, dtype=np.float64)
        rows[:, :14] /= scale
        return rows
