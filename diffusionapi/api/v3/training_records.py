"""Whose trainings there are: a small file beside what trainings keep to go on."""

from __future__ import annotations

import secrets
import string
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi import files
from diffusionapi.blobs.trainings import Trainings
from diffusionapi.database import Database

if TYPE_CHECKING:
    from diffusionapi.settings import Settings

_FILE = "trainings.sqlite"
_LETTERS = string.ascii_letters + string.digits
_LENGTH = 10
_SCHEMA = """
CREATE TABLE IF NOT EXISTS trainings (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS trainings_of_owner ON trainings (owner, created);
"""


@dataclass(frozen=True, slots=True)
class Record:
    id: str
    created: float
    """Epoch s."""


class TrainingRecords:
    """Opened, or made, when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.path(settings.trainings_dir)
        self._loras = Trainings(settings)
        self._database = Database(self._folder / _FILE, _SCHEMA, what="trainings")

    def add(self, owner: str) -> str:
        """The id of a new training, which nobody can guess: the name of the LoRA that will come of it."""
        files.make_folder(self._folder)
        made = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        with self._database.change() as database:
            database.execute("INSERT INTO trainings VALUES (?, ?, ?)", (made, owner, time.time()))
        return made

    def owns(self, owner: str, training_id: str) -> bool:
        return any(one.id == training_id for one in self.of(owner))

    def of(self, owner: str) -> list[Record]:
        """An owner's trainings, in the order they were added."""
        if not (self._folder / _FILE).is_file():
            return []
        query = "SELECT id, created FROM trainings WHERE owner = ? ORDER BY created, id"
        return [Record(*row) for row in self._database.look(query, owner)]

    def ready(self, training_id: str) -> bool:
        """Is its LoRA there?"""
        return self._loras.has(training_id)

    def remove(self, training_id: str) -> None:
        """The record, and the LoRA if there is one."""
        self._loras.remove(training_id)
        with self._database.change() as database:
            database.execute("DELETE FROM trainings WHERE id = ?", (training_id,))

    def close(self) -> None:
        self._database.close()
