"""Finds models, LoRAs, upscalers and textual inversions in their folders."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi.weights.places import find, find_embeddings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.settings import Settings


@dataclass(frozen=True, slots=True)
class Installed:
    """A file or folder under the name that requests use."""

    name: str
    path: Path | None
    """None for what is built in."""

    @property
    def there(self) -> bool:
        """Whether it is still in its folder: a list of it may be a moment old."""
        return self.path is None or os.path.lexists(self.path)


def models(settings: Settings) -> list[Installed]:
    """The models of every folder that the settings name."""
    found = find(settings.model_folders, pickles=settings.allow_pickles)
    return [Installed(one.name, one.path) for one in found]


def embeddings(root: Path) -> list[Installed]:
    """Textual inversions, also those in the folders of this one."""
    return [Installed(one.name, one.path) for one in find_embeddings(root)]


def files(root: Path, *suffixes: str) -> list[Installed]:
    """The files of these kinds, named by their stem."""
    found = [Installed(one.stem, one) for one in _entries(root) if one.suffix in suffixes and one.is_file()]
    return sorted(found, key=lambda one: one.name)


def parts(root: Path) -> list[Installed]:
    """Networks that are no whole model: a file of weights, or a folder of diffusers with its config.json."""
    folders = [one for one in _entries(root) if (one / "config.json").is_file()]
    return sorted(
        [*files(root, ".safetensors"), *(Installed(one.name, one) for one in folders)],
        key=lambda one: one.name,
    )


def _entries(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from (one for one in root.iterdir() if not one.name.startswith("."))
