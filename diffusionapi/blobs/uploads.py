"""Pictures that clients gave, each made anew by us as a PNG, under a name that nobody can guess.

A job names its uploads, so they stay while it waits or runs, whatever their age: see `sweep`.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi import files
from diffusionapi.blobs.named import NamedFiles
from diffusionapi.errors import UnknownPicture

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LEFTOVER_SECONDS = 3600.0
"""Age at which a file that no writer finished has surely lost its writer."""


class Uploads(NamedFiles):
    """One folder, shared by servers, workers and the engines' processes. The age of a file is its `mtime`."""

    names = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.png")

    def put(self, png: bytes) -> str:
        """Keep a picture, whole or not at all, so that it survives a power cut; its new name."""
        name = f"{uuid.uuid4()}.png"
        files.write(self._file(name), png, durable=True)
        return name

    def size(self, name: str) -> tuple[int, int]:
        """Width and height in pixels, from the first bytes of the file."""
        path = self.path(name)
        with files.storage_errors(f"{self.folder.name}/{name}"), path.open("rb") as file:
            # PNG 1.2, 4.1.1: the signature (8 bytes), length and type of IHDR (8), width and height (4 each).
            width, height = struct.unpack(">16xII", file.read(24))
        return width, height

    def touch(self, name: str) -> None:
        """Make an upload young again, for a request that is about to use it; UnknownPicture."""
        path = self._file(name)
        with files.storage_errors(str(self.folder)), self._lock(fcntl.LOCK_SH):
            try:
                os.utime(path)
            except FileNotFoundError:
                raise UnknownPicture(name) from None

    def aged(self, before: float) -> set[str]:
        """The uploads last touched before that time (epoch s)."""
        found = set()
        with files.storage_errors(str(self.folder)):
            for entry in os.scandir(self.folder):
                if (
                    self.names.fullmatch(entry.name)
                    and (touched := _touched(entry.path))
                    and touched < before
                ):
                    found.add(entry.name)
        return found

    def sweep(self, *, older_than: float, keep: Collection[str]) -> int:
        """Remove uploads last touched before `older_than` (epoch s) that are not in `keep`; how many.

        Those in `keep` are made young again, so that a process that does not know their jobs spares them too.
        """
        for name in keep:
            try:
                self.touch(name)
            except UnknownPicture:
                continue
        removed = 0
        for name in self.aged(older_than).difference(keep):
            path = self._file(name)
            # The lock, and the second look under it: a request may have touched it since the first.
            with files.storage_errors(str(self.folder)), self._lock(fcntl.LOCK_EX):
                touched = _touched(path)
                if touched is not None and touched < older_than:
                    path.unlink(missing_ok=True)
                    removed += 1
        files.remove_leftovers(self.folder, older_than=time.time() - _LEFTOVER_SECONDS)
        return removed

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


def _touched(path: Path | str) -> float | None:
    try:
        return Path(path).stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return None
