"""API keys: those of the setting API_KEYS, and those that were made, of which only a hash is kept."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from diffusionapi.auth.attempts import seconds_to_wait
from diffusionapi.auth.secret import SHORT
from diffusionapi.database import Database
from diffusionapi.errors import BadRequest, NotAuthenticated, TooManyRequests, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.settings import Settings

FIRST = "first"
"""Name of what is made at the first start."""
_LONGEST_NAME = 100
_LONGEST_KEY = 1024
_NOTED_EVERY = 60.0
"""Seconds between two notes that a key was used."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    name TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    created REAL NOT NULL,
    used REAL,
    per_minute INTEGER
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Key:
    """`created` and `used` (epoch s) are None for keys of API_KEYS, of which nothing is kept."""

    name: str
    created: float | None = None
    used: float | None = None
    per_minute: int | None = None


class Keys:
    """The file is opened, or made, when it is first needed. Each process counts a key's uses for itself."""

    def __init__(self, settings: Settings) -> None:
        self._given = _given(settings.api_keys.get_secret_value())
        self._database = Database(settings.path(settings.keys_file), _SCHEMA, what="API keys")
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._noted: dict[str, float] = {}
        self._noting = threading.Lock()
        self._notes = ThreadPoolExecutor(1, thread_name_prefix="keys")

    def check(self, given: str, *, counted: bool = True) -> Key:
        """The key that this is; NotAuthenticated, TooManyRequests. One look at a small file at most.

        `counted`: it is one of the requests a minute that the key is good for.
        """
        if not 0 < len(given) <= _LONGEST_KEY:
            raise NotAuthenticated
        key = self._find(hash_of(given))
        if key is None:
            raise NotAuthenticated
        if counted and key.per_minute is not None:
            limit = RateLimitItemPerMinute(key.per_minute)
            if not self._limiter.hit(limit, key.name):
                raise TooManyRequests(seconds_to_wait(self._limiter, limit, key.name))
        if key.created is not None:
            self._note(key.name)
        return key

    def make(self, name: str, per_minute: int | None = None) -> str:
        """A new key, told this once; BadRequest when the name is taken or odd."""
        check_name(name)
        if per_minute is not None and per_minute < 1:
            raise BadRequest("per_minute", "must be at least 1")
        if name in (key.name for key, _ in self._given):
            raise BadRequest("name", f"API_KEYS has a key {name!r}")
        made = new_secret()
        with self._database.change() as database:
            if database.execute("SELECT 1 FROM keys WHERE name = ?", (name,)).fetchone():
                raise BadRequest(
                    "name", f"there is a key {name!r} already; revoke it, or choose another name"
                )
            database.execute(
                "INSERT INTO keys VALUES (?, ?, ?, NULL, ?)", (name, hash_of(made), time.time(), per_minute)
            )
        return made

    def revoke(self, name: str) -> None:
        """From now on it opens nothing, in all processes; UnknownName."""
        with self._database.change() as database:
            if not database.execute("DELETE FROM keys WHERE name = ?", (name,)).rowcount:
                known = [row[0] for row in database.execute("SELECT name FROM keys ORDER BY name")]
                raise UnknownName("name", "key", name, [], known)

    def all(self) -> list[Key]:
        rows = self._database.look("SELECT name, created, used, per_minute FROM keys ORDER BY created, name")
        return [key for key, _ in self._given] + [Key(*row) for row in rows]

    def ensure(self) -> str | None:
        """A first key, when there is none of any kind; of several processes that ask, one gets it."""
        if self._given:
            return None
        made = new_secret()
        with self._database.change() as database:
            added = database.execute(
                "INSERT INTO keys SELECT ?, ?, ?, NULL, NULL WHERE NOT EXISTS (SELECT 1 FROM keys)",
                (FIRST, hash_of(made), time.time()),
            )
            return made if added.rowcount else None

    def close(self) -> None:
        self._notes.shutdown(wait=True)
        self._database.close()

    def _find(self, wanted: bytes) -> Key | None:
        found = None
        for key, known in self._given:  # all of them: how long it takes tells nothing
            if hmac.compare_digest(known, wanted):
                found = key
        if found is None:
            # Where a hash is found in an index may take longer or shorter: it tells nothing of any key.
            rows = self._database.look(
                "SELECT name, created, used, per_minute, hash FROM keys WHERE hash = ?", wanted
            )
            if rows and hmac.compare_digest(rows[0][4], wanted):
                found = Key(*rows[0][:4])
        return found

    def _note(self, name: str) -> None:
        """Remember that it was used, now and then, and in a thread: nobody waits for that."""
        now = time.time()
        with self._noting:
            if now - self._noted.get(name, 0.0) < _NOTED_EVERY:
                return
            self._noted[name] = now
        self._notes.submit(self._write_note, name, now)

    def _write_note(self, name: str, now: float) -> None:
        with self._database.change() as database:
            database.execute("UPDATE keys SET used = ? WHERE name = ?", (now, name))


def hash_of(secret: str) -> bytes:
    """Enough for what nobody can guess; a password would need a slow one."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def new_secret() -> str:
    return secrets.token_hex(24)


def check_name(name: str) -> None:
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise BadRequest(
            "name", f"must have 1 to {_LONGEST_NAME} printable characters, no blank at either end"
        )


def doubts(settings: Settings) -> list[str]:
    """What is probably a slip in API_KEYS."""
    return [
        f"Setting API_KEYS: the key {name!r} has {len(key)} characters; `openssl rand -hex 24` makes one "
        "nobody guesses"
        for name, key in _entries(settings.api_keys.get_secret_value())
        if len(key) < SHORT
    ]


def _given(setting: str) -> list[tuple[Key, bytes]]:
    return [(Key(name), hash_of(key)) for name, key in _entries(setting) if key]


def _entries(setting: str) -> Iterator[tuple[str, str]]:
    """Names and keys: `name:key` or just the key, with commas between them."""
    for number, one in enumerate(filter(None, map(str.strip, setting.split(","))), start=1):
        name, _, key = one.rpartition(":")
        yield name.strip() or f"API_KEYS {number}", key
