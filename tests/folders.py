"""The folders behind pictures and uploads, for tests that look what lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.blobs.named import Named


def folder_of(pictures: Named) -> Path:
    assert pictures.folder is not None, "they are in no folder"
    return pictures.folder
