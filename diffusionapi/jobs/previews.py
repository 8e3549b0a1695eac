"""What pictures look like while they are drawn, passed from workers to watchers: the latest of each job.

Watchers say that they want them, again and again, since they may vanish without a word. Nothing here is
durable, and no failure of it concerns a job: who cannot have previews goes on without.
"""

from __future__ import annotations

import os
import re
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from diffusionapi import files
from diffusionapi.core.events import Preview
from diffusionapi.errors import StorageUnavailable

WANTED_SECONDS = 5.0
"""How long a watcher's word holds."""
_STALE_SECONDS = 600.0
"""Age at which what was left of a job is removed."""
_READ = 64
"""Previews that are kept in memory, at most."""
_ID = re.compile(r"[0-9a-z][0-9a-z-]{0,63}")


class Previews(ABC):
    """Shared by all who share the jobs; any thread may call. An id that is none has no previews."""

    @abstractmethod
    def want(self, job_id: str) -> None:
        """Somebody watches, and will for WANTED_SECONDS."""

    @abstractmethod
    def wanted(self, job_id: str) -> bool:
        """Whether anybody watches."""

    @abstractmethod
    def put(self, job_id: str, preview: Preview) -> None:
        """Show this one in place of the one before."""

    @abstractmethod
    def latest(self, job_id: str) -> Preview | None:
        """The one that was put last."""

    def at_hand(self, job_id: str) -> bool:  # noqa: ARG002 - what is near is read
        """Whether `latest` knows without asking anybody."""
        return True

    @abstractmethod
    def drop(self, job_id: str) -> None:
        """The job's attempt is over: nothing is shown of it any more."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove what watchers and workers left behind that died."""


class MemoryPreviews(Previews):
    def __init__(self) -> None:
        self._wanted: dict[str, float] = {}
        self._latest: dict[str, Preview] = {}

    def want(self, job_id: str) -> None:
        self._wanted[job_id] = time.monotonic()

    def wanted(self, job_id: str) -> bool:
        said = self._wanted.get(job_id)
        return said is not None and time.monotonic() < said + WANTED_SECONDS

    def put(self, job_id: str, preview: Preview) -> None:
        self._latest[job_id] = preview

    def latest(self, job_id: str) -> Preview | None:
        return self._latest.get(job_id)

    def drop(self, job_id: str) -> None:
        self._wanted.pop(job_id, None)
        self._latest.pop(job_id, None)

    def sweep(self) -> None:
        for job_id in list(self._wanted):
            if not self.wanted(job_id):
                self._wanted.pop(job_id, None)


class FilePreviews(Previews):
    """{id}.wanted, whose age tells when a watcher last said so, and {id}.preview: numbers, then the JPEG."""

    def __init__(self, folder: Path) -> None:
        """The folder is made when somebody first wants a preview."""
        self.folder = folder
        self._read: dict[str, tuple[tuple[int, ...], Preview]] = {}
        """By job what was read last, and of which file: watchers look more often than there is a new one."""

    def want(self, job_id: str) -> None:
        if path := self._file(job_id, ".wanted"):
            with suppress(OSError):
                self.folder.mkdir(exist_ok=True)
                path.touch(0o644)

    def wanted(self, job_id: str) -> bool:
        path = self._file(job_id, ".wanted")
        age = _age(path) if path else None
        return age is not None and age < WANTED_SECONDS

    def put(self, job_id: str, preview: Preview) -> None:
        if path := self._file(job_id, ".preview"):
            with suppress(StorageUnavailable):
                files.write(path, printed(preview), durable=False)

    def latest(self, job_id: str) -> Preview | None:
        path = self._file(job_id, ".preview")
        if path is None:
            return None
        with suppress(OSError, ValueError):
            file = path.stat()
            stamp = (file.st_mtime_ns, file.st_ino, file.st_size)
            known = self._read.get(job_id)
            if known is None or known[0] != stamp:
                if len(self._read) >= _READ:
                    self._read.clear()
                known = self._read[job_id] = stamp, parsed(path.read_bytes())
            return known[1]
        return None

    def drop(self, job_id: str) -> None:
        self._read.pop(job_id, None)
        for suffix in (".wanted", ".preview"):
            if path := self._file(job_id, suffix):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def sweep(self) -> None:
        with suppress(OSError):
            for entry in os.scandir(self.folder):
                path = Path(entry.path)
                if (age := _age(path)) is not None and age > _STALE_SECONDS:
                    path.unlink(missing_ok=True)

    def _file(self, job_id: str, suffix: str) -> Path | None:
        return self.folder / (job_id + suffix) if _ID.fullmatch(job_id) else None


def printed(preview: Preview) -> bytes:
    """Its numbers, then the JPEG."""
    return f"{preview.step} {preview.steps} {preview.width} {preview.height}\n".encode() + preview.content


def parsed(content: bytes) -> Preview:
    numbers, _, picture = content.partition(b"\n")
    step, steps, width, height = map(int, numbers.split())
    return Preview(step, steps, width, height, picture)


def _age(path: Path) -> float | None:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return None
