"""What was tried, and which jobs are followed, kept beside the jobs: a restart goes on where we were."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from diffusionapi.database import Database

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tries (
    job TEXT NOT NULL,
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    what TEXT NOT NULL,
    url TEXT NOT NULL,
    at REAL NOT NULL,
    status INTEGER,
    error TEXT NOT NULL,
    seconds REAL NOT NULL,
    settled INTEGER NOT NULL,
    PRIMARY KEY (job, number, attempt)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS following (job TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reached (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Try:
    """One POST of a job's message `number`. `status` is None when there was no answer; `error` says why."""

    number: int
    what: str
    url: str
    at: float
    """When it began (epoch s)."""
    attempt: int
    """1 for the first."""
    status: int | None
    error: str
    """Empty when it was acknowledged."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Tried:
    """How far a message is: settled ones are acknowledged or given up."""

    attempts: int
    last: float
    settled: bool


def without_halves(one: Try) -> Try:
    """JSON can hold halves of characters, which neither files nor answers take."""
    return replace(one, url=one.url.encode("utf-8", "replace").decode())


class Journal(ABC):
    """Whoever delivers next goes on by it. StorageUnavailable, StorageFull."""

    @abstractmethod
    def add(self, job_id: str, one: Try, *, settled: bool) -> None: ...

    @abstractmethod
    def log(self, job_id: str) -> list[Try]:
        """In the order of the messages, and of each of its tries."""

    @abstractmethod
    def tried(self, job_id: str) -> dict[int, Tried]:
        """How far each message of a job is, by its number."""

    @abstractmethod
    def reached(self) -> int | None:
        """The number of the newest job of the store that was taken note of."""

    @abstractmethod
    def following(self) -> list[str]: ...

    @abstractmethod
    def follow(self, job_ids: Collection[str], *, reached: int) -> None:
        """Take note of these jobs, and that there are none before `reached` to be taken note of."""

    @abstractmethod
    def let_go(self, job_ids: Collection[str]) -> None:
        """All has been said about these jobs; what was tried stays to be read."""

    @abstractmethod
    def settled(self) -> list[str]:
        """Jobs of which there is a log and that are not followed any more."""

    @abstractmethod
    def forget(self, job_ids: Collection[str], *, tried_before: float) -> None:
        """Drop the log of these jobs and what is older than that time (epoch s); no job followed."""

    @abstractmethod
    def close(self) -> None: ...


class SqliteJournal(Journal):
    """Shared by the processes on its folder; in memory without a file."""

    def __init__(self, file: Path | None) -> None:
        self._database = Database(file, _SCHEMA, what="webhooks' journal")

    def add(self, job_id: str, one: Try, *, settled: bool) -> None:
        with self._database.change() as database:
            database.execute(
                "INSERT OR REPLACE INTO tries (number, what, url, at, attempt, status, error, seconds, "
                "settled, job) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*astuple(without_halves(one)), settled, job_id),
            )

    def log(self, job_id: str) -> list[Try]:
        rows = self._database.look(
            "SELECT number, what, url, at, attempt, status, error, seconds FROM tries WHERE job = ? "
            "ORDER BY number, attempt",
            job_id,
        )
        return [Try(*row) for row in rows]

    def tried(self, job_id: str) -> dict[int, Tried]:
        rows = self._database.look(
            "SELECT number, max(attempt), max(at), max(settled) FROM tries WHERE job = ? GROUP BY number",
            job_id,
        )
        return {number: Tried(attempts, last, bool(settled)) for number, attempts, last, settled in rows}

    def reached(self) -> int | None:
        rows = self._database.look("SELECT number FROM reached")
        return int(rows[0][0]) if rows else None

    def following(self) -> list[str]:
        return [row[0] for row in self._database.look("SELECT job FROM following")]

    def follow(self, job_ids: Collection[str], *, reached: int) -> None:
        with self._database.change() as database:
            database.executemany("INSERT OR IGNORE INTO following VALUES (?)", [(one,) for one in job_ids])
            database.execute("INSERT OR REPLACE INTO reached VALUES (1, ?)", (reached,))

    def let_go(self, job_ids: Collection[str]) -> None:
        with self._database.change() as database:
            database.executemany("DELETE FROM following WHERE job = ?", [(one,) for one in job_ids])

    def settled(self) -> list[str]:
        rows = self._database.look("SELECT DISTINCT job FROM tries WHERE job NOT IN following")
        return [row[0] for row in rows]

    def forget(self, job_ids: Collection[str], *, tried_before: float) -> None:
        with self._database.change() as database:
            database.executemany(
                "DELETE FROM tries WHERE job = ? AND job NOT IN following", [(one,) for one in job_ids]
            )
            database.execute("DELETE FROM tries WHERE at < ? AND job NOT IN following", (tried_before,))

    def close(self) -> None:
        self._database.close()
