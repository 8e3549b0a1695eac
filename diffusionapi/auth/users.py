"""Who has signed up: known to all processes of a server, on many machines to those of all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from diffusionapi.errors import NameTaken
from diffusionapi.records.open import Archive
from diffusionapi.records.records import Kind

if TYPE_CHECKING:
    from diffusionapi.settings import Settings

_USERS = Kind(
    table="users",
    schema="""
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    created REAL NOT NULL,
    passing INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
""",
    what="users",
    columns={"name": str, "password": str, "created": float, "passing": int},
    id="name",
    group="passing",
)


class Users:
    """What keeps them is opened, or made, when it is first needed."""

    def __init__(self, settings: Settings, archive: Archive | None = None) -> None:
        place = settings.path(settings.users_file)
        self._records = (archive or Archive(settings)).records(_USERS, place)

    def add(self, name: str, password: str, *, passing: bool = False) -> None:
        """Keep a user with a password's hash; NameTaken. A `passing` one may be forgotten some day."""
        row = {"name": name, "password": password, "created": time.time(), "passing": int(passing)}
        if not self._records.add(row):
            raise NameTaken(name)

    def password(self, name: str) -> str | None:
        """The hash of a user's password; None when there is no such user."""
        found = self._records.get(name)
        return None if found is None else str(found["password"])

    def forget_passing(self, *, made_before: float) -> None:
        self._records.forget(1, made_before=made_before)

    def close(self) -> None:
        self._records.close()
