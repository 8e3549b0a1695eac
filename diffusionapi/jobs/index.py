"""The order of the jobs in a folder, in SQLite, so that nothing ever lists a folder of 100,000 files.

The files are the truth; this is derived from them and is made anew when it is lost or broken. It answers what
a folder cannot answer cheaply: who is first, how many wait, what is the place of one.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from diffusionapi.database import write_ahead
from diffusionapi.errors import JobExists, KeyReused, QueueFull, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffusionapi.core.job import Ticket
    from diffusionapi.jobs.store import IdempotencyKey

Place = Literal["waiting", "running", "ended", "gone"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    place TEXT NOT NULL,
    created REAL NOT NULL,
    changed REAL NOT NULL,
    epitaph BLOB,
    priority INTEGER NOT NULL DEFAULT 0,
    rank INTEGER GENERATED ALWAYS AS (seq - (priority << 40)) VIRTUAL
);
CREATE INDEX IF NOT EXISTS jobs_by_rank ON jobs (place, rank);
CREATE INDEX IF NOT EXISTS jobs_by_change ON jobs (place, changed);
CREATE TABLE IF NOT EXISTS tally (place TEXT PRIMARY KEY, jobs INTEGER NOT NULL);
INSERT OR IGNORE INTO tally VALUES ('waiting', 0), ('running', 0), ('ended', 0), ('gone', 0);
CREATE TRIGGER IF NOT EXISTS count_new AFTER INSERT ON jobs BEGIN
    UPDATE tally SET jobs = jobs + 1 WHERE place = NEW.place;
END;
CREATE TRIGGER IF NOT EXISTS count_old AFTER DELETE ON jobs BEGIN
    UPDATE tally SET jobs = jobs - 1 WHERE place = OLD.place;
END;
CREATE TRIGGER IF NOT EXISTS count_move AFTER UPDATE OF place ON jobs WHEN OLD.place <> NEW.place BEGIN
    UPDATE tally SET jobs = jobs - 1 WHERE place = OLD.place;
    UPDATE tally SET jobs = jobs + 1 WHERE place = NEW.place;
END;
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, job TEXT NOT NULL, created REAL NOT NULL
);
"""

_RANKS = (
    "ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN rank INTEGER GENERATED ALWAYS AS (seq - (priority << 40)) VIRTUAL",
    "DROP INDEX IF EXISTS jobs_by_place",
)
"""What brings up an index from before there were priorities."""

_INSERT = "INSERT OR IGNORE INTO jobs (id, place, created, changed, priority) VALUES (?, ?, ?, ?, ?)"

FIRST = -(2**62)
"""Before all ranks."""
_RETRY_AFTER = 5
"""Seconds a client is told to wait when the queue is full."""


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    place: Place
    created: float
    key: IdempotencyKey | None = None
    priority: int = 0


class Index:
    """One connection, shared by the threads of a process; processes share the file."""

    def __init__(self, path: Path) -> None:
        self.fresh = not path.exists()
        self._lock = threading.RLock()
        try:
            self._db = _open(path)
        except sqlite3.OperationalError as error:
            raise _storage_error(error) from error
        except sqlite3.DatabaseError:
            # Not a database, or a broken one: the files hold everything that matters.
            path.replace(path.with_name(f"{path.name}.broken-{int(time.time())}"))
            self.fresh = True
            self._db = _open(path)

    @contextmanager
    def _use(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if not write:
                    yield self._db
                    return
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.rollback()
                    raise
                self._db.commit()
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.rollback()
                raise _storage_error(error) from error

    def add(self, jobs: Sequence[Ticket], *, limit: int, key: IdempotencyKey | None) -> str:
        """Put jobs behind those of their priority, all or none; the id of the first, or of the earlier job
        when `key` was used before."""
        first = jobs[0]
        with self._use(write=True) as db:
            if key is not None and (earlier := self._earlier(db, key)):
                return earlier
            self._check_room(db, len(jobs), limit)
            for one in jobs:
                self._add(db, one)
            if key is not None:
                db.execute(
                    "INSERT INTO keys VALUES (?, ?, ?, ?)",
                    (key.value, key.fingerprint, first.id, first.created_at),
                )
        return first.id

    @staticmethod
    def _add(db: sqlite3.Connection, job: Ticket) -> None:
        """One is in the line already if somebody has taken in its file since it was written."""
        db.execute(_INSERT, (job.id, "waiting", job.created_at, job.created_at, job.priority))
        if db.execute("SELECT place FROM jobs WHERE id = ?", (job.id,)).fetchone()[0] == "gone":
            raise JobExists(job.id)

    def precheck(self, count: int, *, limit: int, key: IdempotencyKey | None) -> str | None:
        """What `add` would refuse or answer, asked before anything is written."""
        with self._use(write=False) as db:
            if key is not None and (earlier := self._earlier(db, key)):
                return earlier
            self._check_room(db, count, limit)
        return None

    @staticmethod
    def _earlier(db: sqlite3.Connection, key: IdempotencyKey) -> str | None:
        row = db.execute("SELECT fingerprint, job FROM keys WHERE key = ?", (key.value,)).fetchone()
        if row is None:
            return None
        if row[0] != key.fingerprint:
            raise KeyReused
        return str(row[1])

    @staticmethod
    def _check_room(db: sqlite3.Connection, count: int, limit: int) -> None:
        if _count(db, "waiting") + count > limit:
            raise QueueFull(limit, _RETRY_AFTER)

    def adopt(self, rows: list[Row]) -> list[str]:
        """Take in jobs whose files are there but that are in no line; those whose key another job has."""
        doubles = []
        with self._use(write=True) as db:
            for row in rows:
                if row.key is not None and not self._keep(db, row.key, row):
                    doubles.append(row.id)
                    continue
                db.execute(_INSERT, (row.id, row.place, row.created, row.created, row.priority))
        return doubles

    @staticmethod
    def _keep(db: sqlite3.Connection, key: IdempotencyKey, row: Row) -> bool:
        """Give the key to the job; False when another job of the same request has it."""
        db.execute(
            "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?)",
            (key.value, key.fingerprint, row.id, row.created),
        )
        owner = db.execute("SELECT fingerprint, job FROM keys WHERE key = ?", (key.value,)).fetchone()
        return bool(owner[1] == row.id or owner[0] != key.fingerprint)

    def move(self, job_id: str, place: Place) -> None:
        with self._use(write=True) as db:
            db.execute("UPDATE jobs SET place = ?, changed = ? WHERE id = ?", (place, time.time(), job_id))

    def bury(self, job_id: str, epitaph: bytes) -> None:
        with self._use(write=True) as db:
            db.execute(
                "UPDATE jobs SET place = 'gone', changed = ?, epitaph = ? WHERE id = ? AND place <> 'gone'",
                (time.time(), epitaph, job_id),
            )

    def remove(self, job_id: str) -> None:
        """Take a job out of the line whose files somebody removed."""
        with self._use(write=True) as db:
            db.execute("DELETE FROM jobs WHERE id = ? AND place IN ('waiting', 'running')", (job_id,))

    def expire(self, *, gone_before: float, keys_before: float) -> None:
        with self._use(write=True) as db:
            db.execute("DELETE FROM jobs WHERE place = 'gone' AND changed < ?", (gone_before,))
            db.execute("DELETE FROM keys WHERE created < ?", (keys_before,))

    def line(self, place: Place, *, after: int = FIRST, limit: int) -> list[tuple[int, Row]]:
        """Jobs at a place in their order, with their ranks, past rank `after`."""
        with self._use(write=False) as db:
            found = db.execute(
                "SELECT rank, id, created FROM jobs WHERE place = ? AND rank > ? ORDER BY rank LIMIT ?",
                (place, after, limit),
            ).fetchall()
        return [(rank, Row(job_id, place, created)) for rank, job_id, created in found]

    def living(self) -> list[str]:
        """All jobs that wait or run, at one instant, so that none is missed as it moves."""
        with self._use(write=False) as db:
            found = db.execute("SELECT id FROM jobs WHERE place IN ('waiting', 'running')").fetchall()
        return [row[0] for row in found]

    def newest(self) -> int:
        """The number of the last job that was added, be it there or not."""
        with self._use(write=False) as db:
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
        return 0 if row is None else int(row[0])

    def added(self, *, after: int) -> list[tuple[int, str]]:
        with self._use(write=False) as db:
            return db.execute("SELECT seq, id FROM jobs WHERE seq > ? ORDER BY seq", (after,)).fetchall()

    def ended(self, *, before: float) -> list[str]:
        with self._use(write=False) as db:
            found = db.execute(
                "SELECT id FROM jobs WHERE place = 'ended' AND changed < ?", (before,)
            ).fetchall()
        return [row[0] for row in found]

    def position(self, job_id: str) -> int | None:
        with self._use(write=False) as db:
            row = db.execute("SELECT rank, place FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None or row[1] != "waiting":
                return None
            before = db.execute("SELECT count(*) FROM jobs WHERE place = 'waiting' AND rank < ?", (row[0],))
            return int(before.fetchone()[0]) + 1

    def epitaph(self, job_id: str) -> bytes | None:
        with self._use(write=False) as db:
            row = db.execute("SELECT epitaph FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else row[0]

    def count(self, place: Place) -> int:
        with self._use(write=False) as db:
            return _count(db, place)

    def ids(self) -> set[str]:
        with self._use(write=False) as db:
            return {row[0] for row in db.execute("SELECT id FROM jobs")}

    def version(self) -> int:
        """Changes whenever another process changed the index."""
        with self._use(write=False) as db:
            return int(db.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        write_ahead(db)
        # A power cut may lose the last rows; the files they stand for are found again at the next start.
        db.execute("PRAGMA synchronous = NORMAL")
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        _bring_up(db)
        db.executescript("BEGIN IMMEDIATE;" + _SCHEMA + "COMMIT;")
    except BaseException:
        db.close()
        raise
    return db


def _bring_up(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    columns = [row[1] for row in db.execute("PRAGMA table_xinfo(jobs)")]
    if columns and "rank" not in columns:
        for statement in _RANKS:
            db.execute(statement)
    db.execute("COMMIT")


def _count(db: sqlite3.Connection, place: Place) -> int:
    return int(db.execute("SELECT jobs FROM tally WHERE place = ?", (place,)).fetchone()[0])


def _storage_error(error: sqlite3.Error) -> StorageUnavailable:
    if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        return StorageFull("No space left for the queue's index; free some and try again")
    return StorageUnavailable(f"The queue's index cannot be used: {error}")
