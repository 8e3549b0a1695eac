"""Finished pictures, by the names their jobs give them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from diffusionapi.blobs.named import Named

if TYPE_CHECKING:
    from diffusionapi.blobs.shelf import Shelf


class Blobs(Named):
    names = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}\.(jpg|png)")

    def __init__(self, shelf: Shelf, where: str) -> None:
        super().__init__(shelf)
        self._where = where

    def place(self, name: str) -> str:
        """Where a picture is kept, in words for the operator."""
        return f"{self._where}/{name}"

    def put(self, name: str, content: bytes) -> None:
        """Keep a picture, whole or not at all, so that it survives a power cut."""
        self._shelf.write(self._known(name), content)

    def remove(self, name: str) -> None:
        """Remove a picture, if it is there."""
        self._shelf.remove(self._known(name))
