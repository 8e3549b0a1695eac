"""Pictures that clients gave, each made anew by us as a PNG, under a name that nobody can guess.

A job names its uploads, so they stay while it waits or runs, whatever their age: see `sweep`.
"""

from __future__ import annotations

import re
import struct
import time
import uuid
from typing import TYPE_CHECKING

from diffusionapi.blobs.named import Named
from diffusionapi.errors import StorageUnavailable, UnknownPicture

if TYPE_CHECKING:
    from collections.abc import Collection

    from diffusionapi.blobs.shelf import Shelf

_SIZE = struct.Struct(">16xII")
"""PNG 1.2, 4.1.1: the signature (8 bytes), length and type of IHDR (8), width and height (4 each)."""
_RETRY = 0.5
"""Seconds before a place that is away is asked again."""


class Uploads(Named):
    """One shelf, shared by servers, workers and the engines' processes.

    An engine has `patience`: a job must not fail because the place of its uploads is away for some seconds.
    """

    names = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.png")

    def __init__(self, shelf: Shelf, *, patience: float = 0) -> None:
        super().__init__(shelf)
        self._patience = patience

    def get(self, name: str) -> bytes:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return super().get(name)
            except StorageUnavailable:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY)

    def put(self, png: bytes) -> str:
        """Keep a picture, whole or not at all, so that it survives a power cut; its new name."""
        name = f"{uuid.uuid4()}.png"
        self._shelf.write(name, png)
        return name

    def size(self, name: str) -> tuple[int, int]:
        """Width and height in pixels, from the first bytes of the file."""
        beginning = self._shelf.beginning(self._known(name), _SIZE.size)
        if beginning is None:
            raise UnknownPicture(name)
        width, height = _SIZE.unpack(beginning)
        return width, height

    def touch(self, name: str) -> None:
        """Make an upload young again, for a request that is about to use it; UnknownPicture."""
        if not self._shelf.touch(self._known(name)):
            raise UnknownPicture(name)

    def aged(self, before: float) -> set[str]:
        """The uploads last touched before that time (epoch s)."""
        return {name for name in self._shelf.aged(before) if self.names.fullmatch(name)}

    def sweep(self, *, older_than: float, keep: Collection[str]) -> int:
        """Remove uploads last touched before `older_than` (epoch s) that are not in `keep`; how many.

        Those in `keep` are made young again, so that a process that does not know their jobs spares them too.
        """
        for name in keep:
            self._shelf.touch(self._known(name))
        unused = self.aged(older_than).difference(keep)
        removed = sum(self._shelf.remove_aged(name, older_than) for name in unused)
        self._shelf.tidy()
        return removed
