"""Who has signed up, in one SQLite file that all processes of a server share."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from diffusionapi.errors import NameTaken, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    created REAL NOT NULL,
    passing INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""


class Users:
    """Two connections, so that a look at who somebody is never waits for a sign-up's disk."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writing, self._reading = threading.Lock(), threading.Lock()
        with _errors():
            self._writer = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
            file.chmod(0o600)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.executescript("BEGIN IMMEDIATE;" + _SCHEMA + "COMMIT;")
            self._reader = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)

    def add(self, name: str, password: str, *, passing: bool = False) -> None:
        """Keep a user with a password's hash; NameTaken. A `passing` one may be forgotten some day."""
        with _errors(), self._writing:
            try:
                self._writer.execute(
                    "INSERT INTO users VALUES (?, ?, ?, ?)", (name, password, time.time(), passing)
                )
            except sqlite3.IntegrityError as error:
                raise NameTaken(name) from error

    def password(self, name: str) -> str | None:
        """The hash of a user's password; None when there is no such user."""
        with _errors(), self._reading:
            found = self._reader.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def forget_passing(self, *, made_before: float) -> None:
        with _errors(), self._writing:
            self._writer.execute("DELETE FROM users WHERE passing AND created < ?", (made_before,))

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise StorageFull("No space left for the users; free some and try again") from error
        raise StorageUnavailable(f"The users cannot be read or written: {error}") from error
