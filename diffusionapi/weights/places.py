"""Where models lie: finds them in every layout people have them in, and resolves one to what to load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi.errors import BrokenModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INDEX = "model_index.json"

_DEPTH = 3
"""Folders below a root that are searched: root/collection/org/name."""
_PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
_EMBEDDINGS = (".safetensors", ".pt", ".bin")


@dataclass(frozen=True, slots=True)
class Place:
    """A model as it lies there: `path` is the outermost folder or the file that bears its name."""

    name: str
    path: Path


def find(roots: Iterable[Path], *, pickles: bool = False) -> list[Place]:
    """Every model under the roots by name. Of two with one name the first has it; a file then goes by all of
    its name, `model.safetensors` beside a folder `model`, and a folder in a later root is hidden."""
    suffixes = (".safetensors", ".ckpt") if pickles else (".safetensors",)
    found: dict[str, Place] = {}
    for root in roots:
        for place in _below(root, suffixes, _DEPTH):
            name = place.name if place.name not in found or place.path.is_dir() else place.path.name
            found.setdefault(name, Place(name, place.path))
    return sorted(found.values(), key=lambda one: one.name)


def _below(folder: Path, suffixes: tuple[str, ...], depth: int) -> Iterator[Place]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_file():
            if entry.suffix in suffixes:
                yield Place(entry.stem, entry)
        elif is_model(entry):
            yield Place(entry.name, entry)
        elif entry.is_dir() and depth > 1 and entry.name not in _PARTS:
            yield from _below(entry, suffixes, depth - 1)


def find_embeddings(root: Path) -> list[Place]:
    """The textual inversions in a folder and the folders in it; of two with one name the first counts."""
    files = (one for one in root.rglob("*") if one.suffix in _EMBEDDINGS and not one.name.startswith("."))
    found = {one.stem: one for one in sorted(files, reverse=True) if one.is_file()}
    return [Place(name, path) for name, path in sorted(found.items())]


def is_model(folder: Path) -> bool:
    """Whether a folder is one model (even a broken one), not a collection of them."""
    return _is_diffusers(folder) or any(_is_diffusers(one) for one in (folder / "snapshots").glob("*"))


def resolve(path: Path) -> Path:
    """The checkpoint file, or the folder with the components: inside a hub cache, the snapshot in use."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise BrokenModel(path, "it is not there")
    if _is_diffusers(path):
        return path
    if (path / "snapshots").is_dir():
        return _snapshot(path)
    inner = [one.path for one in _below(path, (".safetensors",), _DEPTH)]
    if len(inner) == 1:
        return resolve(inner[0])
    if inner:
        raise BrokenModel(path, f"it holds {len(inner)} models; name one of them")
    raise BrokenModel(path, f"it holds neither {INDEX} nor a checkpoint")


def _is_diffusers(folder: Path) -> bool:
    return (folder / INDEX).is_file() or (folder / "unet" / "config.json").is_file()


def _snapshot(cache: Path) -> Path:
    """The commit that refs/main names, else the newest snapshot that has an index."""
    snapshots = cache / "snapshots"
    try:
        named = snapshots / (cache / "refs" / "main").read_text().strip()
    except OSError:
        named = snapshots
    if named != snapshots and _is_diffusers(named):
        return named
    whole = [one for one in snapshots.iterdir() if _is_diffusers(one)]
    if not whole:
        raise BrokenModel(cache, f"no snapshot in it has {INDEX}; the download did not finish, pull it again")
    return max(whole, key=lambda one: one.stat().st_mtime)
