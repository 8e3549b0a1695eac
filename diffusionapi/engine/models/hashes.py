"""Hashes of models and VAEs as A1111 shows them: 10 hex digits of the sha256, computed once per file."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from diffusionapi import files
from diffusionapi.errors import StorageUnavailable
from diffusionapi.weights import folders, vaes
from diffusionapi.weights.places import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Stamp = tuple[int, int]
"""Size and time of change of the files a model is known by."""

_DIGITS = 10
_PIECE = 2**20


class Hashes:
    """Remembers in a JSON file: path -> size, mtime, sha256. Without a file, only in memory."""

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, Any] = {}

    def of(self, path: Path) -> str:
        """The short hash of a model; reads all of its weights unless they are known and unchanged."""
        return self._of(weight_files(path))

    def of_vae(self, path: Path) -> str:
        return self._of(vaes.weight_files(path, half=True, pickles=True))

    def _of(self, weights: Sequence[Path]) -> str:
        key = str(weights[0].absolute())
        stamp = stamp_of(weights)
        if key not in self._known:
            self._known |= self._remembered()
        if key not in self._known or self._known[key][:2] != [*stamp]:
            self._known[key] = [*stamp, _sha256(weights)]
            self._remember()
        return str(self._known[key][2])[:_DIGITS]

    def _remembered(self) -> dict[str, Any]:
        content = files.read(self._memory) if self._memory else None
        try:
            table = json.loads(content or b"{}")
        except ValueError:
            return {}  # it is only a cache
        return table if isinstance(table, dict) else {}

    def _remember(self) -> None:
        if self._memory and self._memory.parent.is_dir():
            table = self._remembered() | self._known  # another process may have added to it
            with suppress(StorageUnavailable):  # a folder of models may be there to be read only
                files.write(self._memory, json.dumps(table, indent=1).encode(), durable=False)


def stamp_of(weights: Sequence[Path]) -> Stamp:
    states = [one.stat() for one in weights]
    return sum(one.st_size for one in states), max(one.st_mtime_ns for one in states)


def weight_files(path: Path) -> Sequence[Path]:
    """The files a model is known by: its checkpoint, or the weights of its UNet."""
    path = resolve(path)
    return [path] if path.is_file() else folders.weight_files(path / "unet", half=True, pickles=True)


def _sha256(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.hexdigest()
