"""What the networks that read pictures for ControlNets are called, and which of them are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.core.hints import HINTS
from diffusionapi.errors import BrokenModel
from diffusionapi.weights import folders

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "hed": "ControlNetHED.pth",
    "softedge": "ControlNetHED.pth",
    "mlsd": "mlsd_large_512_fp32.pth",
    "openpose": "body_pose_model.pth",
    "lineart": "sk_model.pth",
}
"""Hint -> the file of its network, as its authors named it."""
FOLDERS = {"depth": "depth", "normal": "depth", "segmentation": "segmentation"}
"""Hint -> the folder of its network for transformers: one that estimates depth, or knows ADE20K's classes."""
WITHOUT = frozenset({"lineart"})
"""These are read without their network, too."""


def missing(hint: str, folder: Path) -> str | None:
    """A sentence that says what is not installed, None if the hint can be read."""
    if hint not in HINTS:
        return f"unknown hint {hint!r}; known: {', '.join(HINTS)}"
    if hint in FILES and hint not in WITHOUT and not (folder / FILES[hint]).is_file():
        return f"the hint {hint!r} needs {FILES[hint]} in {_shown(folder)}, which is not there"
    if hint in FOLDERS and (problem := _problem(folder / FOLDERS[hint])):
        return f"the hint {hint!r} needs a network in {_shown(folder)}/{FOLDERS[hint]}, and {problem}"
    return None


def _problem(folder: Path) -> str | None:
    """transformers reads pickles as weights only, as the files of the other readers are read."""
    if not folder.is_dir():
        return "there is no such folder"
    try:
        folders.read_config(folder / "config.json")
        files = folders.weight_files(folder, half=False, pickles=True)
    except BrokenModel as error:
        return error.sentence
    absent = [one.name for one in files if not one.is_file()]
    return f"{absent[0]} is missing there" if absent else None


def _shown(folder: Path) -> str:
    """Enough of the path to find the folder, and none of how this machine is laid out."""
    return "/".join(folder.parts[-2:])
