"""A model's hash is that of its file, computed once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from diffusionapi.engine.models import hashes
from diffusionapi.engine.models.hashes import Hashes
from tests import miniatures


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:10]


def test_the_hash_is_the_first_ten_digits_of_the_checkpoints_sha256(sd1_folder: Path, tmp_path: Path) -> None:
    file = miniatures.as_checkpoint(sd1_folder, tmp_path / "one.safetensors")
    assert Hashes().of(file) == _sha256(file)


def test_a_folder_is_known_by_its_unet(sd1_folder: Path) -> None:
    assert Hashes().of(sd1_folder) == _sha256(sd1_folder / "unet" / "diffusion_pytorch_model.safetensors")


def test_an_unchanged_file_is_read_once_even_by_another_process(
    sd1_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "hashes.json"
    first = Hashes(memory).of(sd1_folder)
    monkeypatch.setattr(hashes, "_sha256", lambda _: pytest.fail("read again"))
    assert Hashes(memory).of(sd1_folder) == first


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file, memory = tmp_path / "one.safetensors", tmp_path / "hashes.json"
    file.write_bytes(b"one")
    known = Hashes(memory)
    first = known.of(file)
    file.write_bytes(b"three")
    assert known.of(file) == Hashes(memory).of(file) == _sha256(file) != first


def test_several_processes_share_the_memory(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for file in files:
        file.write_bytes(file.name.encode())
    memory = tmp_path / "hashes.json"
    one, other = Hashes(memory), Hashes(memory)
    one.of(files[0])
    other.of(files[1])
    one.of(files[2])
    assert {Path(name).name for name in json.loads(memory.read_text())} == {file.name for file in files}


def test_where_nothing_can_be_remembered_the_hash_is_told_all_the_same(
    sd1_folder: Path, tmp_path: Path
) -> None:
    assert Hashes(tmp_path / "none" / "hashes.json").of(sd1_folder) == Hashes().of(sd1_folder)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_memory_is_written_anew(sd1_folder: Path, tmp_path: Path) -> None:
    memory = tmp_path / "hashes.json"
    memory.write_text("{not json")
    assert Hashes(memory).of(sd1_folder) == Hashes().of(sd1_folder)
    assert json.loads(memory.read_text())
