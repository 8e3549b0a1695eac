"""The place that BLOBS names, opened: for finished pictures and for what clients gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.blobs.folder import FolderShelf
from diffusionapi.blobs.store import Blobs
from diffusionapi.blobs.uploads import Uploads

if TYPE_CHECKING:
    from diffusionapi.blobs.shelf import Shelf
    from diffusionapi.settings import Settings

_FINISHED, _GIVEN = "outputs", "uploads"
_SPARE = 2.0
"""An upload leaves Redis by itself at so many times UPLOAD_TTL. Servers, who know the jobs, sweep before."""
_PATIENCE = 30.0
"""Seconds an engine waits for an upload whose place is away, rather than have its job fail."""


def open_blobs(settings: Settings) -> Blobs:
    """Finished pictures."""
    if settings.blobs == "file:":
        shelf: Shelf = FolderShelf(settings.path(settings.outputs_dir))
        return Blobs(shelf, str(settings.outputs_dir))
    shelf = _shelf(settings, _FINISHED, seconds=settings.job_ttl)
    return Blobs(shelf, f"{settings.blobs.removesuffix(':')}/{_FINISHED}")


def open_uploads(settings: Settings, *, patient: bool = False) -> Uploads:
    """What clients gave; `patient` is for those who may wait for a place that is away."""
    patience = _PATIENCE if patient else 0
    if settings.blobs == "file:":
        return Uploads(FolderShelf(settings.path(settings.uploads_dir)), patience=patience)
    return Uploads(_shelf(settings, _GIVEN, seconds=_SPARE * settings.upload_ttl), patience=patience)


def _shelf(settings: Settings, folder: str, *, seconds: float) -> Shelf:
    # Each is imported late: it needs a package that not everybody has.
    if settings.blobs == "redis:":
        from diffusionapi.blobs.redis import RedisShelf, connected

        return RedisShelf(connected(settings), folder, seconds=seconds)
    from diffusionapi.blobs.bucket import Bucket
    from diffusionapi.blobs.objects import ObjectShelf

    return ObjectShelf(Bucket(settings), folder, links=settings.blob_links)
