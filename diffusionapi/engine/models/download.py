"""Fetches a file over HTTP: goes on where an earlier attempt ended, shows the file only when it is whole."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
from huggingface_hub import get_session
from huggingface_hub.utils._http import hf_raise_for_status

from diffusionapi.errors import PullFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PIECE = 2**20
_TRIES_WITHOUT_PROGRESS = 4
_TIMEOUT = httpx2.Timeout(30, connect=10)
"""Seconds that nothing may come for."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on the hub. Large ones are known by the sha256 of their content, others by git's sha1 of it."""

    url: str
    size: int
    sha256: str | None
    blob: str | None

    def is_at(self, path: Path) -> bool:
        """Whether the file at `path` has this content."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        if self.sha256:
            return _digest(path, hashlib.sha256()) == self.sha256
        git = hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)
        return self.blob is None or _digest(path, git) == self.blob


def fetch(
    remote: Remote,
    path: Path,
    headers: dict[str, str],
    progress: Callable[[int], object],
    *,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Put the file at `path`; `progress` is told of the bytes that come and those of an earlier attempt."""
    known = (remote.sha256 or remote.blob or "")[:8]
    part = path.with_name(f".{path.name}.{known}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    progress(part.stat().st_size if part.exists() else 0)
    idle = 0
    while not part.exists() or part.stat().st_size < remote.size:
        before = part.stat().st_size if part.exists() else 0
        try:
            _receive(remote.url, part, before, headers, progress)
        except (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError):
            idle = 0 if part.exists() and part.stat().st_size > before else idle + 1
            if idle == _TRIES_WITHOUT_PROGRESS:
                raise
            wait(2.0**idle)
    if not remote.is_at(part):
        part.unlink()
        raise PullFailed(f"{path.name} did not come as the hub has it; try again")
    part.replace(path)


def _receive(
    url: str, part: Path, start: int, headers: dict[str, str], progress: Callable[[int], object]
) -> None:
    asked = headers | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with get_session().stream("GET", url, headers=asked, timeout=_TIMEOUT, follow_redirects=True) as response:
        hf_raise_for_status(response)
        if start and response.status_code != httpx2.codes.PARTIAL_CONTENT:
            progress(-start)  # the server starts over
        with part.open("ab" if response.status_code == httpx2.codes.PARTIAL_CONTENT else "wb") as file:
            for piece in response.iter_bytes():
                file.write(piece)
                progress(len(piece))


def _digest(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
