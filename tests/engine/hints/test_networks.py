"""The networks for edges, lines and poses, against those of controlnet-aux with the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffusionapi.catalog.hints import FILES
from diffusionapi.engine.hints import people, poses, straight
from diffusionapi.engine.hints.network import Network
from diffusionapi.engine.hints.readers import Readers
from diffusionapi.errors import BrokenModel
from tests.engine.hints import made_up
from tests.engine.rendering import a_photo

if TYPE_CHECKING:
    from torch import Tensor

DATA = Path(__file__).parent / "data"
REFERENCE = np.load(DATA / "controlnet_aux.npz")
SHAPES: dict[str, dict[str, list[int]]] = json.loads((DATA / "shapes.json").read_text())
CPU = torch.device("cpu")


def _sent(levels: Any) -> Tensor:
    return torch.from_numpy(levels.copy()).float().permute(2, 0, 1)[None]


NOBODY: Any = SimpleNamespace(sent=_sent)
"""A network that is not asked."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hints")
    for hint, shapes in SHAPES.items():
        made_up.save(shapes, root / FILES[hint])
    return root


@pytest.mark.parametrize("hint", ["hed", "lineart"])
def test_edges_are_those_of_controlnet_aux(hint: str, folder: Path) -> None:
    photo = a_photo(512, 512)
    edges = np.asarray(Readers(folder, CPU).read(hint, photo, seed=1))[128:192, 128:192, 0]
    expected = REFERENCE[hint]
    assert np.abs(edges.astype(int) - expected).max() <= 1
    assert expected.std() > 5


def test_the_network_for_straight_lines_is_that_of_controlnet_aux(folder: Path) -> None:
    maps = straight.maps(
        Network(folder / FILES["mlsd"], CPU), made_up.tensor("a picture", (1, 4, 64, 96)) * 3
    )
    assert torch.allclose(maps[:, :5], torch.from_numpy(REFERENCE["mlsd"]), rtol=1e-4, atol=1e-3)


def test_straight_lines_are_those_of_controlnet_aux(folder: Path) -> None:
    lines = np.asarray(Readers(folder, CPU).read("mlsd", a_photo(512, 512), seed=1))[:, :, 0] > 0
    expected = np.unpackbits(REFERENCE["mlsd_lines"]).reshape(lines.shape).astype(bool)
    assert (lines & expected).sum() > 0.95 * expected.sum() > 0
    assert lines.sum() < 1.05 * expected.sum()


def test_the_network_for_poses_is_that_of_controlnet_aux(folder: Path) -> None:
    network = Network(folder / FILES["openpose"], CPU)
    ways, joints = poses.maps(network, made_up.tensor("a picture", (1, 3, 48, 32)))
    assert torch.allclose(ways, torch.from_numpy(REFERENCE["ways"]), atol=1e-4)
    assert torch.allclose(joints, torch.from_numpy(REFERENCE["joints"]), atol=1e-4)


def test_people_are_drawn_as_controlnet_aux_draws_them(monkeypatch: pytest.MonkeyPatch) -> None:
    said = made_up.skeleton_maps(REFERENCE["people"], 23, 19, people.LINKS)
    monkeypatch.setattr(poses, "maps", lambda *_: said)

    drawn = np.asarray(poses.poses(NOBODY, Image.new("RGB", (512, 640))))
    expected = REFERENCE["skeletons"]
    assert np.abs(drawn.astype(int) - expected).mean() < 0.05
    assert expected.std() > 20


def test_without_people_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poses, "maps", lambda *_: made_up.skeleton_maps([], 23, 30, people.LINKS))
    drawn = poses.poses(NOBODY, Image.new("RGB", (96, 72)))
    assert drawn.size == (96, 72)
    assert not np.asarray(drawn).any()


def test_a_file_that_holds_another_network_is_named(tmp_path: Path) -> None:
    made_up.save({"other.weight": [3, 3, 1, 1]}, tmp_path / FILES["hed"])
    with pytest.raises(BrokenModel, match=r"ControlNetHED.pth cannot be used: the tensor .* is missing"):
        Readers(tmp_path, CPU).read("hed", a_photo(64, 64), seed=1)


def test_a_file_with_more_than_weights_is_not_run(tmp_path: Path) -> None:
    torch.save({"norm": Path("/")}, tmp_path / FILES["hed"])
    with pytest.raises(BrokenModel, match="more than weights"):
        Readers(tmp_path, CPU).read("hed", a_photo(64, 64), seed=1)
