"""Where a safety checker lies: with its model, or in the folder for models that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.errors import BrokenModel
from diffusionapi.weights import folders, places

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.catalog.scan import Installed
    from diffusionapi.settings import Settings

_FOLDER = "safety_checker"


def find(model: Installed | None, settings: Settings) -> Path | None:
    """The folder of the checker that looks at a model's pictures, whole enough to be loaded."""
    shared = settings.path(settings.safety_checker_dir)
    own = _folder(model) if model else None
    candidates = [*([own / _FOLDER] if own else []), shared, shared / _FOLDER]
    return next((one for one in candidates if _usable(one, pickles=settings.allow_pickles)), None)


def _folder(model: Installed) -> Path | None:
    if model.path is None or not model.path.is_dir():
        return None
    try:
        found = places.resolve(model.path)
    except BrokenModel:
        return None
    return found if found.is_dir() else None


def _usable(folder: Path, *, pickles: bool) -> bool:
    if not (folder / "config.json").is_file():
        return False
    try:
        return all(one.is_file() for one in folders.weight_files(folder, half=False, pickles=pickles))
    except BrokenModel:
        return False
