"""Hints that need no network, against OpenCV and the programs that ControlNets were trained with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from diffusionapi.engine.hints.readers import Readers
from diffusionapi.errors import BadRequest
from tests.engine.rendering import a_photo

REFERENCE = np.load(Path(__file__).parent / "data" / "controlnet_aux.npz")
CPU = torch.device("cpu")


def read(hint: str, picture: Image.Image, folder: Path, seed: int = 1) -> Image.Image:
    return Readers(folder, CPU).read(hint, picture, seed=seed)


@pytest.mark.parametrize("size", [(64, 96), (200, 72)])
def test_canny_is_opencvs(size: tuple[int, int], tmp_path: Path) -> None:
    photo = a_photo(*size)
    edges = np.asarray(read("canny", photo, tmp_path))
    expected = cv2.Canny(np.asarray(photo), 100, 200)
    assert expected.any()
    assert all((edges[:, :, channel] == expected).all() for channel in range(3))


def test_lineart_without_its_network_is_that_of_controlnets_program(tmp_path: Path) -> None:
    lines = np.asarray(read("lineart", a_photo(512, 512), tmp_path))[128:192, 128:192, 0]
    assert np.abs(lines.astype(int) - REFERENCE["lineart_plain"]).max() <= 1


def test_a_scribble_is_white_where_a_dark_stroke_was(tmp_path: Path) -> None:
    paper = Image.new("RGB", (96, 64), "white")
    paper.paste((0, 0, 0), (20, 30, 80, 33))
    strokes = np.asarray(read("scribble", paper, tmp_path))
    assert set(np.unique(strokes)) == {0, 255}
    assert strokes[31, 25:75].min() == 255
    assert strokes[:15].max() == strokes[50:].max() == 0


def test_shuffling_keeps_colours_and_forgets_places(tmp_path: Path) -> None:
    photo = a_photo(320, 256)
    one, same, other = (np.asarray(read("shuffle", photo, tmp_path, seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.abs(one.astype(int) - np.asarray(photo)).mean() > 10
    kept = [np.asarray(each).reshape(-1, 3).astype(float) for each in (one, photo)]
    assert kept[0].min() >= kept[1].min()
    assert kept[0].max() <= kept[1].max()


@pytest.mark.parametrize("hint", ["none", "tile", "inpaint"])
def test_some_nets_see_the_picture_as_it_is(hint: str, tmp_path: Path) -> None:
    photo = a_photo(64, 64)
    assert read(hint, photo, tmp_path) is photo


@pytest.mark.parametrize(
    ("hint", "lacking"),
    [
        ("hed", "ControlNetHED.pth"),
        ("softedge", "ControlNetHED.pth"),
        ("mlsd", "mlsd_large_512_fp32.pth"),
        ("openpose", "body_pose_model.pth"),
        ("depth", "hints/depth"),
        ("normal", "hints/depth"),
        ("segmentation", "hints/segmentation"),
    ],
)
def test_a_network_that_is_not_installed_is_named_with_its_folder(
    hint: str, lacking: str, tmp_path: Path
) -> None:
    with pytest.raises(BadRequest) as caught:
        read(hint, a_photo(64, 64), tmp_path / "stable_diffusion" / "hints")
    assert lacking in caught.value.problem
    assert "stable_diffusion/hints" in caught.value.problem
    assert str(tmp_path) not in caught.value.problem


def test_every_hint_of_a_picture_has_its_size(tmp_path: Path) -> None:
    photo = a_photo(88, 56)
    for hint in ("canny", "scribble", "lineart", "shuffle", "tile"):
        assert read(hint, photo, tmp_path).size == photo.size


def test_a_blank_picture_has_no_lines(tmp_path: Path) -> None:
    for hint in ("canny", "scribble", "lineart"):
        assert not np.asarray(read(hint, Image.new("RGB", (64, 64), "grey"), tmp_path)).any()
