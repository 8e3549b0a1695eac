"""Models are found in every layout that people have them in."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from diffusionapi.errors import BrokenModel
from diffusionapi.weights.places import Place, find, resolve
from tests import miniatures


def test_every_layout_is_found_under_its_own_name(sd1_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd1_folder, tmp_path / "plain")
    shutil.copytree(sd1_folder, tmp_path / "org__name")
    shutil.copytree(sd1_folder, tmp_path / "models--org--flat")
    shutil.copytree(sd1_folder, tmp_path / "org" / "nested")
    miniatures.as_hub_cache(sd1_folder, tmp_path, "org/cached")
    miniatures.as_checkpoint(sd1_folder, tmp_path / "single.safetensors")
    miniatures.as_checkpoint(sd1_folder, tmp_path / "styles" / "deep.v1.safetensors")
    (tmp_path / "old.ckpt").touch()
    (tmp_path / ".cache").mkdir()
    shutil.copytree(sd1_folder, tmp_path / ".cache" / "hidden")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    assert [one.name for one in find([tmp_path])] == [
        "deep.v1",
        "models--org--cached",
        "models--org--flat",
        "nested",
        "org__name",
        "plain",
        "single",
    ]
    assert "old" in {one.name for one in find([tmp_path], pickles=True)}


def test_parts_of_a_model_are_no_models(sd1_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd1_folder, tmp_path / "broken")
    (tmp_path / "broken" / "model_index.json").unlink()
    shutil.rmtree(tmp_path / "broken" / "unet")
    assert find([tmp_path]) == []


def test_other_repositories_of_a_hub_cache_are_left_out(sd1_folder: Path, tmp_path: Path) -> None:
    miniatures.as_hub_cache(sd1_folder, tmp_path, "org/name")
    language = tmp_path / "models--org--language" / "snapshots" / "abc"
    language.mkdir(parents=True)
    (language / "config.json").write_text("{}")
    assert [one.name for one in find([tmp_path])] == ["models--org--name"]


def test_the_first_root_wins_and_missing_roots_are_empty(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        root.mkdir()
        (root / "same.safetensors").touch()
    assert find([tmp_path / "none", first])[0] == Place("same", first / "same.safetensors")
    assert Place("same", first / "same.safetensors") in find([first, second])


def test_a_file_beside_a_folder_of_its_name_goes_by_its_whole_name(sd1_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd1_folder, tmp_path / "model")
    (tmp_path / "model.safetensors").touch()
    assert [one.name for one in find([tmp_path])] == ["model", "model.safetensors"]


def test_a_hub_cache_is_resolved_through_refs_main(sd1_folder: Path, tmp_path: Path) -> None:
    cache = miniatures.as_hub_cache(sd1_folder, tmp_path, "org/name")
    newer = cache / "snapshots" / "newer"
    shutil.copytree(sd1_folder, newer)
    assert resolve(cache) == cache / "snapshots" / miniatures.REVISION
    (cache / "refs" / "main").unlink()
    os.utime(newer, (2e9, 2e9))
    assert resolve(cache) == newer


def test_without_refs_a_snapshot_without_an_index_is_passed_over(sd1_folder: Path, tmp_path: Path) -> None:
    cache = miniatures.as_hub_cache(sd1_folder, tmp_path, "org/name", refs=False)
    started = cache / "snapshots" / "started"
    started.mkdir()
    os.utime(started, (2e9, 2e9))
    assert resolve(cache) == cache / "snapshots" / miniatures.REVISION


def test_a_folder_around_one_model_stands_for_it(sd1_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sd1_folder, tmp_path / "outer" / "inner")
    assert resolve(tmp_path / "outer") == tmp_path / "outer" / "inner"
    shutil.copytree(sd1_folder, tmp_path / "outer" / "other")
    with pytest.raises(BrokenModel, match="holds 2 models"):
        resolve(tmp_path / "outer")


def test_a_place_with_nothing_in_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BrokenModel, match=r"empty cannot be used: it holds neither model_index\.json nor"):
        resolve(tmp_path / "empty")
    with pytest.raises(BrokenModel, match="nowhere cannot be used: it is not there"):
        resolve(tmp_path / "nowhere")
