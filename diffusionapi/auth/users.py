"""Who has signed up, in one SQLite file that all processes of a server share."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from diffusionapi.database import Database
from diffusionapi.errors import NameTaken

if TYPE_CHECKING:
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
    def __init__(self, file: Path) -> None:
        self._database = Database(file, _SCHEMA, what="users")
        self._database.open()

    def add(self, name: str, password: str, *, passing: bool = False) -> None:
        """Keep a user with a password's hash; NameTaken. A `passing` one may be forgotten some day."""
        with self._database.change() as database:
            try:
                database.execute(
                    "INSERT INTO users VALUES (?, ?, ?, ?)", (name, password, time.time(), passing)
                )
            except sqlite3.IntegrityError as error:
                raise NameTaken(name) from error

    def password(self, name: str) -> str | None:
        """The hash of a user's password; None when there is no such user."""
        found = self._database.look("SELECT password FROM users WHERE name = ?", name)
        return str(found[0][0]) if found else None

    def forget_passing(self, *, made_before: float) -> None:
        with self._database.change() as database:
            database.execute("DELETE FROM users WHERE passing AND created < ?", (made_before,))

    def close(self) -> None:
        self._database.close()
