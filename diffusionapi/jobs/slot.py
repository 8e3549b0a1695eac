"""A place that one of the processes on a folder has at a time, held by an OS lock.

`uvicorn --workers 3` starts three processes that all would start engines, or send webhooks: only the
holder of a slot does, and when its process dies the next one takes over.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from diffusionapi import files


class Slot:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the place if it is free."""
        with files.storage_errors(self._path.name):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def kept(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
