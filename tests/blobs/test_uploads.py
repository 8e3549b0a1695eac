"""Uploads are kept while somebody may need them, and found by their names alone."""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.uploads import Uploads
from diffusionapi.errors import UnknownPicture
from tests.factories import NOBODYS
from tests.intake.pictures import a_file, a_picture

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads")


def aged(uploads: Uploads, seconds: float = 2 * DAY) -> str:
    name = uploads.put(b"png")
    then = time.time() - seconds
    os.utime(uploads.path(name), (then, then))
    return name


def sweep(uploads: Uploads, *keep: str) -> int:
    return uploads.sweep(older_than=time.time() - DAY, keep=set(keep))


def test_an_upload_is_read_by_the_name_it_was_given(uploads: Uploads) -> None:
    name = uploads.put(b"png")
    assert uploads.get(name) == b"png"
    assert uploads.path(name).read_bytes() == b"png"
    assert Uploads(uploads.folder).get(name) == b"png"  # of another process


def test_names_cannot_be_guessed(uploads: Uploads) -> None:
    names = [uploads.put(b"") for _ in range(50)]
    assert len(set(names)) == 50
    assert all(uuid.UUID(name.removesuffix(".png")).version == 4 for name in names)


@pytest.mark.parametrize("name", ["../secret.png", "a.png", "", f"{NOBODYS}.jpg", f"{NOBODYS}.png\n"])
def test_other_names_are_unknown(uploads: Uploads, name: str) -> None:
    for ask in (uploads.get, uploads.path, uploads.size, uploads.touch):
        with pytest.raises(UnknownPicture):
            ask(name)


def test_an_upload_that_is_not_there_is_unknown(uploads: Uploads) -> None:
    for ask in (uploads.get, uploads.path, uploads.size, uploads.touch):
        with pytest.raises(UnknownPicture):
            ask(f"{uuid.uuid4()}.png")


def test_the_size_is_told(uploads: Uploads) -> None:
    assert uploads.size(uploads.put(a_file(a_picture((48, 32))))) == (48, 32)


def test_the_sweep_removes_what_is_old_and_nothing_else(uploads: Uploads) -> None:
    old, young, needed = aged(uploads), uploads.put(b"png"), aged(uploads)
    (uploads.folder / "notes.txt").write_text("not ours")
    os.utime(uploads.folder / "notes.txt", (0, 0))
    assert sweep(uploads, needed, f"{uuid.uuid4()}.png") == 1
    assert {path.name for path in uploads.folder.iterdir()} == {young, needed, "notes.txt"}
    with pytest.raises(UnknownPicture):
        uploads.get(old)


def test_what_is_needed_is_young_again_for_processes_that_do_not_know_why(uploads: Uploads) -> None:
    needed = aged(uploads)
    sweep(uploads, needed)
    assert sweep(uploads) == 0
    assert uploads.get(needed) == b"png"


def test_a_touch_makes_an_upload_young_again(uploads: Uploads) -> None:
    name = aged(uploads)
    uploads.touch(name)
    assert uploads.aged(time.time() - DAY) == set()
    assert sweep(uploads) == 0


def test_an_upload_that_could_be_touched_is_not_swept_at_the_same_moment(uploads: Uploads) -> None:
    names = [aged(uploads) for _ in range(300)]
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


def test_unfinished_files_of_dead_writers_are_removed(uploads: Uploads) -> None:
    leftover = uploads.folder / ".some.png.abc"
    leftover.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    sweep(uploads)
    assert not leftover.exists()
