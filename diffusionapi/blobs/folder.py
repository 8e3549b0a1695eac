"""A shelf that is a folder: of one machine, or one that many machines share. A file's age is its `mtime`."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi import files
from diffusionapi.blobs.shelf import Shelf
from diffusionapi.blobs.store import Blobs
from diffusionapi.blobs.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEFTOVER_SECONDS = 3600.0
"""Age at which a file that no writer finished has surely lost its writer."""


class FolderShelf(Shelf):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        files.make_folder(folder)

    @property
    def folder(self) -> Path:
        return self._folder

    def write(self, name: str, content: bytes) -> None:
        files.write(self._folder / name, content, durable=True)

    def read(self, name: str) -> bytes | None:
        path = self._folder / name
        return None if path.is_symlink() else files.read(path)

    def beginning(self, name: str, length: int) -> bytes | None:
        with self._errors(name):
            try:
                with (self._folder / name).open("rb") as file:
                    return file.read(length)
            except FileNotFoundError:
                return None

    def has(self, name: str) -> bool:
        return self.path(name) is not None

    def remove(self, name: str) -> None:
        with self._errors(name):
            (self._folder / name).unlink(missing_ok=True)

    def touch(self, name: str) -> bool:
        with self._errors(), self._lock(fcntl.LOCK_SH):
            try:
                os.utime(self._folder / name)
            except FileNotFoundError:
                return False
        return True

    def aged(self, before: float) -> set[str]:
        with self._errors():
            ages = ((entry.name, _touched(entry)) for entry in os.scandir(self._folder))
            return {name for name, touched in ages if touched is not None and touched < before}

    def remove_aged(self, name: str, before: float) -> bool:
        path = self._folder / name
        # Looked at under the lock: a request may have touched it since whoever asks has seen its age.
        with self._errors(name), self._lock(fcntl.LOCK_EX):
            touched = _touched(path)
            if touched is None or touched >= before:
                return False
            path.unlink(missing_ok=True)
            return True

    def check(self) -> None:
        files.check_room(self._folder)

    def tidy(self) -> None:
        with self._errors():
            files.remove_leftovers(self._folder, older_than=time.time() - _LEFTOVER_SECONDS)

    def path(self, name: str) -> Path | None:
        """A link is no file of ours: it may lead anywhere."""
        path = self._folder / name
        return path if path.is_file() and not path.is_symlink() else None

    @contextmanager
    def _errors(self, name: str = "") -> Iterator[None]:
        with files.storage_errors(f"{self._folder.name}/{name}" if name else str(self._folder)):
            yield

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


class FolderBlobs(Blobs):
    def __init__(self, folder: Path) -> None:
        super().__init__(FolderShelf(folder), str(folder))


class FolderUploads(Uploads):
    def __init__(self, folder: Path) -> None:
        super().__init__(FolderShelf(folder))


def _touched(file: Path | os.DirEntry[str]) -> float | None:
    try:
        return file.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return None
