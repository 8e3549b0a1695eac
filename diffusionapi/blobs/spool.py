"""Finished pictures on a worker's own disk, for as long as the place they belong to cannot take them.

A worker that lives keeps trying to deliver. This is for the case that it ends before: whoever claims
such a job on this machine delivers the picture instead of rendering it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from diffusionapi import files
from diffusionapi.core.events import Picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_JOB_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_SUFFIX = ".picture"
_PICTURE = TypeAdapter(Picture)


@dataclass(frozen=True, slots=True)
class Spooled:
    picture: Picture
    content: bytes


class Spool:
    """A file a job: a line of JSON that says what its record is to say, then the picture. The folder is made
    when the first is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, job_id: str, picture: Picture, content: bytes) -> None:
        """Whole or not at all, so that it survives a power cut."""
        files.make_folder(self._folder)
        files.write(self._file(job_id), _PICTURE.dump_json(picture) + b"\n" + content, durable=True)

    def find(self, job_id: str) -> Spooled | None:
        kept = files.read(self._file(job_id))
        if kept is None:
            return None
        line, _, content = kept.partition(b"\n")
        try:
            return Spooled(_PICTURE.validate_json(line), content)
        except ValidationError:  # of another version of this server
            return None

    def drop(self, job_id: str) -> None:
        """It was delivered, or is of no use any more."""
        with files.storage_errors(f"{self._folder.name}/{job_id}"):
            self._file(job_id).unlink(missing_ok=True)

    def sweep(self, needed: Callable[[str], bool]) -> int:
        """Drop the pictures of all jobs that are not `needed`; how many."""
        over = [job_id for job_id in self._jobs() if not needed(job_id)]
        for job_id in over:
            self.drop(job_id)
        return len(over)

    def _jobs(self) -> list[str]:
        with files.storage_errors(str(self._folder)):
            if not self._folder.is_dir():
                return []
            names = [path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}")]
        return sorted(name for name in names if _JOB_ID.fullmatch(name))

    def _file(self, job_id: str) -> Path:
        if not _JOB_ID.fullmatch(job_id):
            raise ValueError(f"{job_id!r} is no id of a job")
        return self._folder / f"{job_id}{_SUFFIX}"
