"""`python -m diffusionapi.models`: list, check and pull from the command line."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import constants
from safetensors.torch import save_file

from diffusionapi import models
from tests import miniatures, stubs
from tests.engine.models.hub import Hub

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that the settings name."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    root = tmp_path / "stable_diffusion" / "models"
    root.mkdir(parents=True)
    (tmp_path / "model_labels.json").write_text(json.dumps({"org__one": "The One"}))
    return root


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return miniatures.make_sd1(tmp_path_factory.mktemp("models") / "sd1")


def test_the_list_says_name_family_prediction_size_and_label(
    root: Path, sd1: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(sd1, root / "org__one")
    (root / "photo.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    models.main(["list"])
    header, one, photo = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "FAMILY", "PREDICTION", "GB", "LABEL"]
    assert one.split() == ["org__one", "sd1", "epsilon", "0.02", "The", "One"]
    assert photo.split()[:2] == ["photo", "broken"]
    assert "Git LFS pointer" in photo


def test_the_list_says_what_loras_were_made_for(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loras = tmp_path / "stable_diffusion" / "loras"
    stubs.a_lora(loras / "ink.safetensors", "sdxl")
    stubs.a_file(loras / "loha.safetensors", {f"{stubs.LISTENING}.hada_w1_a": (1, 1)})
    (loras / "half.safetensors").touch()
    models.main(["list"])
    header, half, ink, loha = capsys.readouterr().out.splitlines()[-4:]
    assert header.split() == ["LORA", "FAMILY", "MB", "PROBLEM"]
    assert half.split()[:2] == ["half", "broken"]
    assert ink.split() == ["ink", "sdxl", "0.0"]
    assert "is a LoHa" in loha
    assert list(root.iterdir()) == []


def test_an_empty_list_says_how_to_get_a_model(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models.main(["list"])
    printed = capsys.readouterr().out
    assert f"No model in {root}" in printed
    assert "python -m diffusionapi.models pull org/name" in printed


@pytest.mark.parametrize("name", ["org__one", "Org/One", "the one"])
def test_check_loads_a_model_by_any_of_its_names(
    name: str, root: Path, sd1: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(sd1, root / "org__one")
    models.main(["check", name])
    printed = capsys.readouterr().out
    assert printed.startswith("org__one is whole.")
    assert "sd1, predicts epsilon" in printed
    assert "5 million parameters" in printed


def test_check_takes_a_path_too(root: Path, sd1: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models.main(["check", str(sd1)])
    assert "is whole" in capsys.readouterr().out
    assert list(root.iterdir()) == []


def test_check_finds_values_that_are_no_number(root: Path, sd1: Path) -> None:
    tensors = miniatures.original_tensors(sd1)
    tensors["model.diffusion_model.out.2.bias"][0] = float("nan")
    save_file(tensors, root / "nan.safetensors")
    with pytest.raises(
        SystemExit, match=r"nan\.safetensors cannot be used: the tensor conv_out\.bias of UNet2D"
    ):
        models.main(["check", "nan"])


def test_an_unknown_name_comes_with_near_ones(root: Path, sd1: Path) -> None:
    shutil.copytree(sd1, root / "org__one")
    with pytest.raises(SystemExit, match="unknown model 'org__on'; did you mean 'org__one'"):
        models.main(["check", "org__on"])


def test_pull_puts_a_model_where_the_server_finds_it(
    root: Path, sd1: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with Hub({"org/one": sd1}) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        )
        models.main(["pull", "org/one"])
    assert capsys.readouterr().out.split()[:3] == ["models--org--one", "sd1", "epsilon"]
    assert (root / "models--org--one" / "model_index.json").is_file()
