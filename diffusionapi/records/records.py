"""The contract of records: rows of one kind, found by an id, each change one step among all processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Row = dict[str, Any]
"""The values of a record by its columns; None where there is none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What records of a kind look like. All have `created` (epoch s) among their columns."""

    table: str
    schema: str
    """Of the table, where it is one of SQLite."""
    what: str
    """The records, in errors."""
    columns: Mapping[str, type]
    id: str
    """The column they are found by; no two have the same."""
    name: str | None = None
    """Another column of which no two have the same."""
    group: str | None = None
    """A column of which many may have the same, and are found together."""
    own_folder: bool = False
    """Its file lies in a folder that is made with the first record, and not by who only looks."""


class Records(ABC):
    """Whoever asks, in whatever process, finds what was changed before. StorageUnavailable, StorageFull."""

    @abstractmethod
    def get(self, record_id: str | bytes) -> Row | None: ...

    @abstractmethod
    def named(self, name: str) -> Row | None: ...

    @abstractmethod
    def all(self) -> list[Row]:
        """In the order they were made, and of those of one moment by their names."""

    @abstractmethod
    def of(self, group: str | int) -> list[Row]:
        """Those of a group, in the order of `all`."""

    @abstractmethod
    def add(self, row: Row, *, only_first: bool = False) -> bool:
        """False when its id or its name is taken or, with `only_first`, when there is any record at all."""

    @abstractmethod
    def change(self, record_id: str | bytes, **values: Any) -> bool:
        """Give columns that it is not found by other values; False when it is not there."""

    @abstractmethod
    def fill(self, record_id: str | bytes, column: str, value: Any) -> None:
        """Give a column its first value; nothing when it has one."""

    @abstractmethod
    def remove(self, record_id: str | bytes) -> bool:
        """False when it was not there."""

    @abstractmethod
    def forget(self, group: str | int, *, made_before: float) -> None:
        """Remove the old ones of a group."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open; a later use opens it anew."""
