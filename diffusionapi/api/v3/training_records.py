"""Whose trainings there are: in a small file beside what trainings keep to go on, or in the jobs' Redis."""

from __future__ import annotations

import secrets
import string
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.blobs.trainings import Trainings
from diffusionapi.records.open import Archive
from diffusionapi.records.records import Kind

if TYPE_CHECKING:
    from diffusionapi.settings import Settings

_FILE = "trainings.sqlite"
_LETTERS = string.ascii_letters + string.digits
_LENGTH = 10
_TRAININGS = Kind(
    table="trainings",
    schema="""
CREATE TABLE IF NOT EXISTS trainings (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS trainings_of_owner ON trainings (owner, created);
""",
    what="trainings",
    columns={"id": str, "owner": str, "created": float},
    id="id",
    group="owner",
    own_folder=True,
)


@dataclass(frozen=True, slots=True)
class Record:
    id: str
    created: float
    """Epoch s."""


class TrainingRecords:
    """What keeps them is opened, or made, when it is first needed."""

    def __init__(self, settings: Settings, archive: Archive | None = None) -> None:
        place = settings.path(settings.trainings_dir) / _FILE
        self._loras = Trainings(settings)
        self._records = (archive or Archive(settings)).records(_TRAININGS, place)

    def add(self, owner: str) -> str:
        """The id of a new training, which nobody can guess: the name of the LoRA that will come of it."""
        while True:
            made = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
            if self._records.add({"id": made, "owner": owner, "created": time.time()}):
                return made

    def owns(self, owner: str, training_id: str) -> bool:
        return any(one.id == training_id for one in self.of(owner))

    def of(self, owner: str) -> list[Record]:
        """An owner's trainings, in the order they were added."""
        return [Record(row["id"], row["created"]) for row in self._records.of(owner)]

    def ready(self, training_id: str) -> bool:
        """Is its LoRA there?"""
        return self._loras.has(training_id)

    def remove(self, training_id: str) -> None:
        """The record, and the LoRA if there is one."""
        self._loras.remove(training_id)
        self._records.remove(training_id)

    def close(self) -> None:
        self._records.close()
