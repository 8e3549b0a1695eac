"""What a worker could not deliver is on its disk, whole, until it is of no use."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.spool import Spool, Spooled
from diffusionapi.core.events import Picture, Sampled
from diffusionapi.errors import StorageFull
from tests.factories import NOBODYS

if TYPE_CHECKING:
    from pathlib import Path

SAMPLED = Sampled("Euler", "karras", 7, 20, notices=("a\nnotice",), translated=("a dog", ""))
PICTURE = Picture(f"{NOBODYS}.png", "png", 64, 48, None, 7, "fake", 1.5, 0.0, 0.0, SAMPLED)
CONTENT = b"\x89PNG\n\r\n" + bytes(range(256))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_another_process_finds_what_was_kept(folder: Path) -> None:
    Spool(folder).keep(NOBODYS, PICTURE, CONTENT)
    assert Spool(folder).find(NOBODYS) == Spooled(PICTURE, CONTENT)


def test_where_nothing_is_kept_nothing_is_found_or_made(folder: Path) -> None:
    spool = Spool(folder)
    assert spool.find(NOBODYS) is None
    assert spool.sweep(lambda _: False) == 0
    spool.drop(NOBODYS)
    assert not folder.exists()


def test_what_was_dropped_is_gone(folder: Path) -> None:
    spool = Spool(folder)
    spool.keep(NOBODYS, PICTURE, CONTENT)
    spool.drop(NOBODYS)
    assert spool.find(NOBODYS) is None
    assert list(folder.iterdir()) == []


def test_the_sweep_drops_what_no_job_needs(folder: Path) -> None:
    spool = Spool(folder)
    for job_id in ("ended", "waiting"):
        spool.keep(job_id, PICTURE, CONTENT)
    (folder / "notes.txt").write_text("not ours")
    assert spool.sweep(lambda job_id: job_id == "waiting") == 1
    assert {path.name for path in folder.iterdir()} == {"waiting.picture", "notes.txt"}


def test_a_sweep_that_cannot_ask_drops_nothing(folder: Path) -> None:
    spool = Spool(folder)
    spool.keep("waiting", PICTURE, CONTENT)

    def away(_: str) -> bool:
        raise StorageFull("away")

    with pytest.raises(StorageFull):
        spool.sweep(away)
    assert spool.find("waiting") is not None


def test_a_file_of_another_version_is_none_of_ours(folder: Path) -> None:
    folder.mkdir()
    (folder / "job.picture").write_bytes(b'{"name": "job.png"}\n' + CONTENT)
    assert Spool(folder).find("job") is None


def test_a_disk_without_room_keeps_no_half_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        Spool(folder).keep(NOBODYS, PICTURE, CONTENT)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("job_id", ["../secret", "", "a/b", "a.b", ".a"])
def test_no_id_leads_out_of_the_folder(folder: Path, job_id: str) -> None:
    with pytest.raises(ValueError, match="no id of a job"):
        Spool(folder).find(job_id)
