"""Uploads are kept while somebody may need them, and found by their names alone, on every shelf."""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.folder import FolderUploads
from diffusionapi.blobs.uploads import Uploads
from diffusionapi.errors import StorageUnavailable, UnknownPicture
from tests.factories import NOBODYS
from tests.intake.pictures import a_file, a_picture

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.blobs.shelf import Shelf
    from tests.blobs.conftest import Age

DAY = 86400


@pytest.fixture
def uploads(shelf: Shelf) -> Uploads:
    return Uploads(shelf)


def aged(uploads: Uploads, age: Age, seconds: float = 2 * DAY) -> str:
    name = uploads.put(b"png")
    age(name, seconds)
    return name


def sweep(uploads: Uploads, *keep: str) -> int:
    return uploads.sweep(older_than=time.time() - DAY, keep=set(keep))


def test_an_upload_is_read_by_the_name_it_was_given(uploads: Uploads, shelf: Shelf) -> None:
    name = uploads.put(b"png")
    assert uploads.get(name) == b"png"
    assert uploads.kept(name).read() == b"png"
    assert Uploads(shelf).get(name) == b"png"  # of another process


def test_names_cannot_be_guessed(tmp_path: Path) -> None:
    uploads = FolderUploads(tmp_path)
    names = [uploads.put(b"") for _ in range(50)]
    assert len(set(names)) == 50
    assert all(uuid.UUID(name.removesuffix(".png")).version == 4 for name in names)


@pytest.mark.parametrize("name", ["../secret.png", "a.png", "", f"{NOBODYS}.jpg", f"{NOBODYS}.png\n"])
def test_other_names_are_unknown(uploads: Uploads, name: str) -> None:
    for ask in (uploads.get, uploads.kept, uploads.size, uploads.touch):
        with pytest.raises(UnknownPicture):
            ask(name)


def test_an_upload_that_is_not_there_is_unknown(uploads: Uploads) -> None:
    for ask in (uploads.get, lambda name: uploads.kept(name).read(), uploads.size, uploads.touch):
        with pytest.raises(UnknownPicture):
            ask(f"{uuid.uuid4()}.png")


def test_the_size_is_told(uploads: Uploads) -> None:
    assert uploads.size(uploads.put(a_file(a_picture((48, 32))))) == (48, 32)


def test_the_sweep_removes_what_is_old_and_nothing_else(uploads: Uploads, shelf: Shelf, age: Age) -> None:
    old, young, needed = aged(uploads, age), uploads.put(b"png"), aged(uploads, age)
    shelf.write("notes.txt", b"not ours")
    age("notes.txt", 9 * DAY)
    assert sweep(uploads, needed, f"{uuid.uuid4()}.png") == 1
    assert [shelf.has(name) for name in (young, needed, "notes.txt", old)] == [True, True, True, False]
    with pytest.raises(UnknownPicture):
        uploads.get(old)


def test_what_is_needed_is_young_again_for_processes_that_do_not_know_why(uploads: Uploads, age: Age) -> None:
    needed = aged(uploads, age)
    sweep(uploads, needed)
    assert sweep(uploads) == 0
    assert uploads.get(needed) == b"png"


def test_a_touch_makes_an_upload_young_again(uploads: Uploads, age: Age) -> None:
    name = aged(uploads, age)
    uploads.touch(name)
    assert uploads.aged(time.time() - DAY) == set()
    assert sweep(uploads) == 0


@pytest.mark.parametrize("shelf_and_age", ["folder", "redis"], indirect=True)  # S3 knows no lock
def test_an_upload_that_could_be_touched_is_not_swept_at_the_same_moment(uploads: Uploads, age: Age) -> None:
    names = [aged(uploads, age) for _ in range(300)]
    touched = []

    def touch() -> None:
        for name in names:
            try:
                uploads.touch(name)
            except UnknownPicture:
                continue
            touched.append(name)

    toucher = threading.Thread(target=touch)
    toucher.start()
    removed = sweep(uploads)
    toucher.join()
    assert removed + len(touched) == len(names)
    assert all(uploads.get(name) for name in touched)


def test_unfinished_files_of_dead_writers_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / ".some.png.abc"
    leftover.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    sweep(FolderUploads(tmp_path))
    assert not leftover.exists()


def test_who_is_patient_waits_for_a_shelf_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = FolderUploads(tmp_path).put(b"png")
    away = [True, True, False]

    def read(_: str) -> bytes:
        if away.pop(0):
            raise StorageUnavailable("away")
        return b"png"

    hasty = FolderUploads(tmp_path)
    patient = Uploads(hasty._shelf, patience=10)  # noqa: SLF001 - the same shelf
    monkeypatch.setattr("diffusionapi.blobs.uploads._RETRY", 0.01)
    monkeypatch.setattr(hasty._shelf, "read", read)  # noqa: SLF001
    with pytest.raises(StorageUnavailable):
        hasty.get(name)
    assert patient.get(name) == b"png"
