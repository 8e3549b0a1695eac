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
from diffusionapi.errors import BadRequest, NotAuthenticated, TooManyRequests, UnknownName
from diffusionapi.records.open import Archive
from diffusionapi.records.records import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.records.records import Row
    from diffusionapi.settings import Settings

FIRST = "first"
"""Name of what is made at the first start."""
_LONGEST_NAME = 100
_LONGEST_KEY = 1024
_NOTED_EVERY = 60.0
"""Seconds between two notes that a key was used."""
_KEYS = Kind(
    table="keys",
    schema="""
CREATE TABLE IF NOT EXISTS keys (
    name TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    created REAL NOT NULL,
    used REAL,
    per_minute INTEGER
) WITHOUT ROWID;
""",
    what="API keys",
    columns={"name": str, "hash": bytes, "created": float, "used": float, "per_minute": int},
    id="hash",
    name="name",
)


@dataclass(frozen=True, slots=True)
class Key:
    """`created` and `used` (epoch s) are None for keys of API_KEYS, of which nothing is kept."""

    name: str
    created: float | None = None
    used: float | None = None
    per_minute: int | None = None


class Keys:
    """What keeps them is opened, or made, when it is first needed. Each process counts a key's uses for
    itself."""

    def __init__(self, settings: Settings, archive: Archive | None = None) -> None:
        self._given = _given(settings.api_keys.get_secret_value())
        place = settings.path(settings.keys_file)
        self._records = (archive or Archive(settings)).records(_KEYS, place)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._noted: dict[bytes, float] = {}
        self._noting = threading.Lock()
        self._notes = ThreadPoolExecutor(1, thread_name_prefix="keys")

    def check(self, given: str, *, counted: bool = True) -> Key:
        """The key that this is; NotAuthenticated, TooManyRequests. One look at what is kept at most.

        `counted`: it is one of the requests a minute that the key is good for.
        """
        if not 0 < len(given) <= _LONGEST_KEY:
            raise NotAuthenticated
        hashed = hash_of(given)
        key = self._find(hashed)
        if key is None:
            raise NotAuthenticated
        if counted and key.per_minute is not None:
            limit = RateLimitItemPerMinute(key.per_minute)
            if not self._limiter.hit(limit, key.name):
                raise TooManyRequests(seconds_to_wait(self._limiter, limit, key.name))
        if key.created is not None:
            self._note(hashed)
        return key

    def make(self, name: str, per_minute: int | None = None) -> str:
        """A new key, told this once; BadRequest when the name is taken or odd."""
        check_name(name)
        if per_minute is not None and per_minute < 1:
            raise BadRequest("per_minute", "must be at least 1")
        if name in (key.name for key, _ in self._given):
            raise BadRequest("name", f"API_KEYS has a key {name!r}")
        made = new_secret()
        if not self._records.add(_row(name, made, per_minute)):
            raise BadRequest("name", f"there is a key {name!r} already; revoke it, or choose another name")
        return made

    def revoke(self, name: str) -> None:
        """From now on it opens nothing, in all processes; UnknownName."""
        found = self._records.named(name)
        if found is None or not self._records.remove(found["hash"]):
            known = sorted(row["name"] for row in self._records.all())
            raise UnknownName("name", "key", name, [], known)

    def all(self) -> list[Key]:
        return [key for key, _ in self._given] + [_key(row) for row in self._records.all()]

    def ensure(self) -> str | None:
        """A first key, when there is none of any kind; of several processes that ask, one gets it."""
        if self._given:
            return None
        made = new_secret()
        return made if self._records.add(_row(FIRST, made), only_first=True) else None

    def close(self) -> None:
        self._notes.shutdown(wait=True)
        self._records.close()

    def _find(self, wanted: bytes) -> Key | None:
        found = None
        for key, known in self._given:  # all of them: how long it takes tells nothing
            if hmac.compare_digest(known, wanted):
                found = key
        if found is None:
            # Where a hash is found in an index may take longer or shorter: it tells nothing of any key.
            row = self._records.get(wanted)
            if row is not None and hmac.compare_digest(row["hash"], wanted):
                found = _key(row)
        return found

    def _note(self, hashed: bytes) -> None:
        """Remember that it was used, now and then, and in a thread: nobody waits for that."""
        now = time.time()
        with self._noting:
            if now - self._noted.get(hashed, 0.0) < _NOTED_EVERY:
                return
            self._noted[hashed] = now
        self._notes.submit(lambda: self._records.change(hashed, used=now))


def _row(name: str, made: str, per_minute: int | None = None) -> Row:
    now = time.time()
    return {"name": name, "hash": hash_of(made), "created": now, "used": None, "per_minute": per_minute}


def _key(row: Row) -> Key:
    return Key(row["name"], row["created"], row["used"], row["per_minute"])


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


def problems(settings: Settings) -> list[str]:
    """What in API_KEYS opens nothing, though it stands where a key should."""
    return [
        f"Setting API_KEYS: the key {name!r} is empty; write NAME:KEY or KEY, with commas between them"
        for name, key in _entries(settings.api_keys.get_secret_value())
        if not key
    ]


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
