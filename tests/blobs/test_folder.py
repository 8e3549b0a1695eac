from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.folder import FolderBlobs
from diffusionapi.errors import StorageFull, UnknownPicture
from tests.folders import folder_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "outputs")


def test_what_was_put_is_got(blobs: FolderBlobs) -> None:
    blobs.put("a.png", b"content")
    assert blobs.get("a.png") == b"content"
    assert blobs.exists("a.png")
    assert blobs.kept("a.png").path == folder_of(blobs) / "a.png"
    assert blobs.kept("a.png").url("GET") is None


def test_what_is_not_there_is_unknown(blobs: FolderBlobs) -> None:
    assert not blobs.exists("a.png")
    with pytest.raises(UnknownPicture):
        blobs.get("a.png")


@pytest.mark.parametrize(
    "name", ["../a.png", "/etc/passwd", "a", "a.txt", ".a.png", "a/b.png", "", "a.png\0"]
)
def test_no_name_leads_out_of_the_folder(blobs: FolderBlobs, name: str) -> None:
    for ask in (blobs.get, blobs.kept, blobs.exists, blobs.remove, lambda name: blobs.put(name, b"")):
        with pytest.raises(UnknownPicture):
            ask(name)


def test_a_link_in_the_folder_leads_to_no_picture(blobs: FolderBlobs, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"classified")
    (tmp_path / "outputs" / "link.png").symlink_to(tmp_path / "secret.png")
    assert not blobs.exists("link.png")
    assert blobs.kept("link.png").path is None
    for read in (blobs.kept("link.png").read, lambda: blobs.get("link.png")):
        with pytest.raises(UnknownPicture):
            read()


def test_a_picture_that_went_meanwhile_is_unknown(blobs: FolderBlobs) -> None:
    blobs.put("a.png", b"content")
    kept = blobs.kept("a.png")
    blobs.remove("a.png")
    assert kept.path is None
    with pytest.raises(UnknownPicture):
        kept.read()


def test_a_picture_that_finds_no_room_leaves_nothing(
    blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        blobs.put("a.png", b"content")
    assert list(folder_of(blobs).iterdir()) == []
