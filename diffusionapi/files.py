"""Files that other processes read while we write: they see all of the new content or all of the old.

A name is replaced only by a finished file. `durable=True` also survives a power cut (fsync of the file
and of its folder); without it a write survives any crash of ours, which is enough for a progress bar.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi.errors import StorageFull, StorageRefused, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn what the operating system says into one of our errors."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise StorageFull(f"No space left for {what}; free some and try again") from error
        if error.errno in _REFUSED:
            raise StorageRefused(what, reason) from error
        raise StorageUnavailable(f"Cannot use {what}: {reason}") from error


def read(path: Path) -> bytes | None:
    """The content of a file, None when there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageUnavailable(f"Cannot read {path.parent.name}/{path.name}: {error.strerror}") from error


def write(path: Path, content: bytes, *, durable: bool) -> None:
    """Put `content` at `path`, whole or not at all."""
    with storage_errors(f"{path.parent.name}/{path.name}"), _finished(path, content, durable=durable) as file:
        file.replace(path)


def create(path: Path, content: bytes) -> bool:
    """The same, durably, where there is nothing yet; False when there is something."""
    with storage_errors(f"{path.parent.name}/{path.name}"), _finished(path, content, durable=True) as file:
        try:
            path.hardlink_to(file)  # which, unlike a rename, never replaces
        except FileExistsError:
            return False
        finally:
            file.unlink()
    return True


@contextmanager
def _finished(path: Path, content: bytes, *, durable: bool) -> Iterator[Path]:
    """A complete file beside `path`, to be given its name."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    made = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        made.chmod(0o644)
        yield made
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    with storage_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)


def check_room(folder: Path) -> None:
    """Raise StorageUnavailable when a file could not be written now."""
    probe = folder / f".probe-{os.getpid()}"
    write(probe, bytes(4096), durable=False)
    probe.unlink(missing_ok=True)


def check_free(folder: Path, least_mb: int) -> None:
    """Raise StorageFull when fewer than `least_mb` MiB are free where `folder` is."""
    with storage_errors(str(folder)):
        free = shutil.disk_usage(folder).free // 2**20
    if free < least_mb:
        raise StorageFull(f"{free} MiB free, fewer than {least_mb} (MIN_FREE_MB)")


def remove_leftovers(folder: Path, *, older_than: float) -> None:
    """Remove unfinished files of writers that died: only those last touched before `older_than` (epoch s)."""
    for entry in os.scandir(folder):
        if entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
            try:
                if entry.stat().st_mtime < older_than:
                    Path(entry.path).unlink(missing_ok=True)
            except FileNotFoundError:
                continue
