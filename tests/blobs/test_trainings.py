from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.trainings import Trainings
from diffusionapi.errors import StorageFull, StorageRefused, StorageUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings

BAD = ["", ".", "..", "../models", "a/b", ".hidden", "a" * 200]


@pytest.fixture
def loras(settings: Settings) -> Path:
    return settings.path(settings.loras_dir)


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.path(settings.trainings_dir)


def test_a_lora_is_in_its_folder_which_need_not_be_there_before(settings: Settings, loras: Path) -> None:
    trainings = Trainings(settings)
    for content in (b"first", b"second"):
        trainings.put("a-dog", content)
        assert (loras / "a-dog.safetensors").read_bytes() == content
    assert len(list(loras.iterdir())) == 1


def test_what_a_training_left_is_removed_and_nothing_else(
    settings: Settings, loras: Path, folder: Path
) -> None:
    trainings = Trainings(settings)
    for name in ("a-dog", "a-dog2"):
        (folder / name / "deep").mkdir(parents=True)
        trainings.put(name, name.encode())
        (loras / f".{name}.safetensors.x1y2").touch()  # of a writer that was killed
    (loras / ".gitkeep").touch()
    assert trainings.kept() == {"a-dog", "a-dog2"}
    trainings.clear("a-dog")
    trainings.clear("a-dog")
    assert trainings.kept() == {"a-dog2"}
    assert {one.name for one in loras.iterdir()} == {
        "a-dog.safetensors",
        "a-dog2.safetensors",
        ".a-dog2.safetensors.x1y2",
        ".gitkeep",
    }


@pytest.mark.parametrize("name", BAD)
def test_a_name_reaches_nothing_outside_of_the_folders(
    settings: Settings, loras: Path, folder: Path, name: str
) -> None:
    (folder / "a-dog").mkdir(parents=True)
    trainings = Trainings(settings)
    trainings.clear(name)
    assert (folder / "a-dog").is_dir()
    with pytest.raises(ValueError, match="no name"):
        trainings.put(name, b"x")
    assert not loras.exists()


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.EROFS, StorageRefused, "Cannot use LORAS_DIR: Read-only file system"),
        (errno.EACCES, StorageRefused, "Cannot use LORAS_DIR: Permission denied"),
        (errno.ENOSPC, StorageFull, "No space left"),
        (errno.ESTALE, StorageUnavailable, "Cannot use loras/a-dog.safetensors: Stale"),
    ],
)
def test_a_folder_that_is_closed_to_us_is_told_from_one_that_is_full_or_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], said: str
) -> None:
    def refused(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkstemp", refused)
    with pytest.raises(StorageUnavailable, match=said) as raised:
        Trainings(settings).put("a-dog", b"x")
    assert type(raised.value) is kind


def test_without_a_folder_nothing_is_kept(settings: Settings) -> None:
    assert Trainings(settings).kept() == set()
