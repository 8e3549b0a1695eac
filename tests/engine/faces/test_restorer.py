"""Faces painted anew by a restorer, at the places where they were found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from diffusionapi.engine.faces import geometry, restorer
from diffusionapi.engine.faces.detector import Detector, Face
from diffusionapi.engine.faces.restorer import FaceRestorer
from diffusionapi.errors import BrokenModel
from tests.engine.faces.restorers import make_restoreformer
from tests.engine.rendering import a_photo, difference, pixels
from tests.engine.upscalers import esrgan

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


def a_face(x: float, y: float, scale: float = 0.2) -> Face:
    return Face((geometry.TEMPLATE - 256) * scale + np.array([x, y]), 0.9)


def run(faces: FaceRestorer, picture: Image.Image, larger: Image.Image) -> tuple[Image.Image, list[float]]:
    restoring, told = faces(picture, larger), []
    while True:
        try:
            told.append(next(restoring))
        except StopIteration as end:
            return end.value, told


def test_each_face_is_painted_from_the_picture_itself_and_set_into_the_larger_one() -> None:
    picture, larger = a_photo(300, 200), Image.new("RGB", (600, 400), "gray")
    seen: list[Any] = []

    def paint(square: Any) -> Any:
        seen.append(square)
        return np.ones_like(square)

    faces = FaceRestorer(lambda _: [a_face(80, 100), a_face(220, 100)], paint)
    result, told = run(faces, picture, larger)
    assert told == [0.5, 1.0]
    assert result.getpixel((160, 200)) == result.getpixel((440, 200)) == (255, 255, 255)
    assert result.getpixel((300, 200)) == result.getpixel((10, 10)) == (128, 128, 128)
    for square in seen:
        assert (square.shape, square.dtype) == ((512, 512, 3), np.float32)
        assert -1 <= square.min() < -0.1
        assert 0.1 < square.max() <= 1


def test_a_restorer_that_changes_nothing_changes_nothing() -> None:
    picture = Image.fromarray(pixels(a_photo(60, 40)).astype(np.uint8)).resize(
        (300, 200), Image.Resampling.BICUBIC
    )
    faces = FaceRestorer(lambda _: [a_face(150, 100, 0.3)], lambda square: square)
    result, _ = run(faces, picture, picture)
    assert difference(result, picture) < 0.5
    assert np.abs(pixels(result) - pixels(picture)).max() <= 2


def test_where_there_is_no_face_the_picture_stays_as_it_is() -> None:
    photo = a_photo(64, 64)
    result, told = run(FaceRestorer(lambda _: [], lambda square: square), photo, photo)
    assert (result.tobytes(), told) == (photo.tobytes(), [])


def test_restoreformer_paints_as_its_authors_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They give it levels of -1..1, and take such levels from it."""
    network = make_restoreformer(tmp_path / "RestoreFormer.pth")
    monkeypatch.setattr(Detector, "__init__", lambda *_: None)
    faces = restorer.load(tmp_path / "RestoreFormer.pth", tmp_path / "yunet.onnx", CPU)
    square = (np.asarray(a_photo(512, 512)) / 127.5 - 1).astype(np.float32)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(square).permute(2, 0, 1)[None])[0][0].permute(1, 2, 0)
    painted = faces.paint(square)
    assert np.allclose(painted, wanted.numpy(), atol=1e-4)
    assert painted.min() < 0 < painted.max()


def test_a_network_for_something_else_is_named(tmp_path: Path) -> None:
    save_file(esrgan.random_weights(2, "real"), tmp_path / "esrgan.safetensors")
    with pytest.raises(BrokenModel, match="ESRGAN does not restore faces"):
        restorer.load(tmp_path / "esrgan.safetensors", tmp_path / "yunet.onnx", CPU)
