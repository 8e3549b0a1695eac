"""Finds models, LoRAs and upscalers in their folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNET_FILES = ("diffusion_pytorch_model*.safetensors", "diffusion_pytorch_model*.bin")


@dataclass(frozen=True, slots=True)
class Installed:
    """A file or folder under the name that requests use."""

    name: str
    path: Path | None
    """None for what is built in."""


def models(root: Path) -> list[Installed]:
    """Folders that hold a diffusers model at any depth, and single-file checkpoints."""
    found = [Installed(one.name, one) for one in _entries(root) if one.is_dir() and _has_unet(one)]
    found += files(root, ".safetensors")
    return sorted(found, key=lambda one: one.name)


def files(root: Path, *suffixes: str) -> list[Installed]:
    """The files of these kinds, named by their stem."""
    found = [Installed(one.stem, one) for one in _entries(root) if one.suffix in suffixes and one.is_file()]
    return sorted(found, key=lambda one: one.name)


def _entries(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from (one for one in root.iterdir() if not one.name.startswith("."))


def _has_unet(folder: Path) -> bool:
    return any(True for pattern in _UNET_FILES for _ in folder.glob(f"**/unet/{pattern}"))
