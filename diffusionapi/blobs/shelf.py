"""The contract of a shelf: where files are kept by plain names, whatever it is made of.

Every variant promises: a file is there whole or not at all, and a read sees the whole of it; what `write` has
returned for is there for every process that opened the same shelf. Names come checked (see named.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    Method = Literal["GET", "HEAD"]


class Shelf(ABC):
    """Errors are StorageUnavailable and StorageFull. A file's age counts from its last `write` or `touch`."""

    @property
    def folder(self) -> Path | None:
        """The folder of this machine that it is, if it is one."""
        return None

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Keep a file, in place of one of that name, so that it survives what the shelf survives."""

    @abstractmethod
    def read(self, name: str) -> bytes | None: ...

    @abstractmethod
    def beginning(self, name: str, length: int) -> bytes | None:
        """The first bytes of a file: `length` of them, or all it has."""

    @abstractmethod
    def has(self, name: str) -> bool: ...

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def touch(self, name: str) -> bool:
        """Make a file young again; False when there is none."""

    @abstractmethod
    def aged(self, before: float) -> set[str]:
        """The files last touched before that time (epoch s)."""

    @abstractmethod
    def remove_aged(self, name: str, before: float) -> bool:
        """Remove a file unless it was touched since that time; whether it was removed now."""

    @abstractmethod
    def check(self) -> None:
        """Raise StorageUnavailable when a file could not be kept now."""

    def tidy(self) -> None:
        """Remove what writers left that died; where a write leaves nothing, there is nothing to do."""
        return

    def path(self, name: str) -> Path | None:  # noqa: ARG002 - of most shelves none
        """Where a file lies on this machine, if it is there and the shelf is of files."""
        return None

    def url(self, name: str, method: Method) -> str | None:  # noqa: ARG002 - of most shelves none
        """Where a client may fetch a file itself for a while, if it is there and the shelf gives links."""
        return None
