"""A small SQLite file that all processes of a server share, and what its failures are called."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from diffusionapi.errors import StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE = 10.0
"""Seconds to wait for another process that writes."""
_PAUSE = 0.005


class Database:
    """Opened, or made, when it is first used. Two connections, so that a look never waits for a disk.

    `file` None keeps it in memory; `what` names its content in errors.
    """

    def __init__(self, file: Path | None, schema: str, *, what: str) -> None:
        self._file = file
        self._schema = schema
        self._what = what
        self._opening = threading.Lock()
        self._writing = threading.RLock()
        self._reading = threading.RLock() if file is not None else self._writing
        self._connections: tuple[sqlite3.Connection, sqlite3.Connection] | None = None

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other process' can come between: all of it, or nothing when it raises."""
        writer, _ = self.open()
        with self._errors(), self._writing:
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                writer.execute("COMMIT")
            except BaseException:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
                raise

    def look(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        _, reader = self.open()
        with self._errors(), self._reading:
            return reader.execute(query, values).fetchall()

    def open(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        with self._opening, self._errors():
            if self._connections is None:
                self._connections = self._connected()
            return self._connections

    def close(self) -> None:
        """Let go of the file; a later use opens it anew."""
        with self._opening:
            if self._connections is not None:
                for one in set(self._connections):
                    one.close()
            self._connections = None

    def _connected(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        writer = _connection(self._file)
        try:
            if self._file is not None:
                self._file.chmod(0o600)
                write_ahead(writer)
            writer.executescript("BEGIN IMMEDIATE;" + self._schema + "COMMIT;")
            return writer, writer if self._file is None else _connection(self._file)
        except BaseException:
            writer.close()
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise StorageFull(f"No space left for the {self._what}; free some and try again") from error
            raise StorageUnavailable(f"The {self._what} cannot be read or written: {error}") from error
        except OSError as error:
            raise StorageUnavailable(f"The {self._what} cannot be kept: {error.strerror}") from error


def write_ahead(connection: sqlite3.Connection) -> None:
    """Let others read while somebody writes. SQLite itself does not wait here for who is doing the same."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def _connection(file: Path | None) -> sqlite3.Connection:
    return sqlite3.connect(
        ":memory:" if file is None else file,
        timeout=_PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )
