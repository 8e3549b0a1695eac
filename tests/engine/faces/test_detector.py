"""Faces and their points, as OpenCV tells them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from diffusionapi.engine.faces.detector import Detector
from diffusionapi.errors import BrokenModel
from tests.engine.rendering import a_photo

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIGHTS = Path(__file__).parent / "data" / "face_detection_yunet_of_lights.onnx"
"""Takes white squares of 16 pixels for faces; the folder's README.md says how."""
FEATURES = np.array([(-1.5, -1), (1.5, -1), (0, 0.25), (-1, 1.5), (1, 1.5)])


def night(size: tuple[int, int], side: int, *lights: tuple[int, int]) -> Image.Image:
    picture = Image.new("RGB", size)
    for left, top in lights:
        picture.paste("white", (left, top, left + side, top + side))
    return picture


def around(left: int, top: int, side: int) -> NDArray[np.float64]:
    points: NDArray[np.float64] = FEATURES * side + (left + side / 2, top + side / 2)
    return points


@pytest.mark.parametrize("size", [(320, 160), (500, 333), (301, 640)])
def test_opencv_finds_faces_in_pictures_of_any_size(size: tuple[int, int]) -> None:
    faces = Detector(LIGHTS).faces(night(size, 16, (64, 48), (240, 80)))
    assert [face.score for face in faces] == pytest.approx([1, 1], abs=1e-3)
    found = sorted(faces, key=lambda face: face.points[0, 0])
    assert np.allclose(found[0].points, around(64, 48, 16), atol=0.01)
    assert np.allclose(found[1].points, around(240, 80, 16), atol=0.01)


def test_points_are_told_in_pixels_of_the_picture_however_large_it_is() -> None:
    detector = Detector(LIGHTS)
    assert detector.faces(night((100, 100), 16)) == []
    faces = detector.faces(night((1280, 640), 32, (320, 320)))
    found = max((face.points for face in faces), key=np.ptp)  # the one that was seen at half the size
    assert np.allclose(found, around(320, 320, 32), atol=0.05)


def test_what_is_no_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "face_detection_yunet.onnx").write_bytes(b"no network")
    with pytest.raises(BrokenModel, match=r"face_detection_yunet\.onnx cannot be used"):
        Detector(tmp_path / "face_detection_yunet.onnx")


class Yunet:
    """Tells two rows at every size, in pixels of what it is given, as FaceDetectorYN does."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 - OpenCV's name
        self.sizes.append(size)

    def detect(self, picture: Any) -> tuple[int, Any]:
        assert picture.shape[:2][::-1] == self.sizes[-1]
        scale = self.sizes[-1][0] / 2000
        points = [460, 440, 540, 440, 500, 490, 470, 540, 530, 540]
        rows = [[400, 400, 200, 200, *points, 0.8], [1400, 400, 200, 200, *(2 * one for one in points), 0.9]]
        return 1, np.array([[*(np.array(row[:14]) * scale), row[14]] for row in rows], dtype=np.float32)


def test_a_large_picture_is_looked_at_twice_and_each_face_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    yunet = Yunet()
    monkeypatch.setattr("cv2.FaceDetectorYN.create", lambda *_: yunet)
    faces = Detector(Path("yunet.onnx")).faces(a_photo(2000, 1000))
    assert yunet.sizes == [(640, 320), (1600, 800)]
    assert [round(face.score, 2) for face in faces] == [0.9, 0.8]
    assert np.allclose(faces[1].points[0], (460, 440), atol=0.01)
    Detector(Path("yunet.onnx")).faces(a_photo(100, 50))
    assert yunet.sizes[2:] == [(100, 50)]
