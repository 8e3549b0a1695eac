"""Clients with servers of their own: a token that names one, its secret, and where its server is called."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from diffusionapi.auth.keys import FIRST, check_name, hash_of, new_secret
from diffusionapi.auth.secret import derived, secret_of
from diffusionapi.database import Database
from diffusionapi.errors import BadRequest, UnknownClient, UnknownName, WrongSecret

if TYPE_CHECKING:
    import sqlite3

    from diffusionapi.settings import Settings

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clients (
    token TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    domain TEXT NOT NULL,
    uri_notify TEXT NOT NULL DEFAULT '',
    uri_upload TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL,
    updated REAL NOT NULL,
    validated REAL,
    hash BLOB NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Client:
    token: str
    name: str
    domain: str
    """Where its server is, with or without http:// before it; empty: nowhere."""
    uri_notify: str
    uri_upload: str
    """The paths there that it is called at; empty: not called."""
    created: float
    updated: float
    validated: float | None
    """When its server first acknowledged a message."""


class Clients:
    """In the file of the API keys, opened, or made, when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings.path(settings.keys_file), _SCHEMA, what="clients")
        self._signing = threading.Lock()

    def check(self, token: str, secret: str) -> Client:
        """Who this is; UnknownClient, WrongSecret."""
        rows = self._rows(token)
        if not rows:
            raise UnknownClient
        if not hmac.compare_digest(rows[0][-1], hash_of(secret)):
            raise WrongSecret
        return Client(*rows[0][:-1])

    def find(self, token: str) -> Client | None:
        rows = self._rows(token)
        return Client(*rows[0][:-1]) if rows else None

    def make(self, name: str, domain: str = "") -> tuple[Client, str]:
        """A new client and its secret, told this once; BadRequest when the name is taken or odd."""
        check_name(name)
        with self._database.change() as database:
            if database.execute("SELECT 1 FROM clients WHERE name = ?", (name,)).fetchone():
                raise BadRequest(
                    "name", f"there is a client {name!r} already; revoke it, or choose another name"
                )
            return _add(database, name, domain)

    def change(
        self,
        token: str,
        *,
        domain: str | None = None,
        uri_notify: str | None = None,
        uri_upload: str | None = None,
    ) -> Client:
        """Call it elsewhere from now on; what is None stays. UnknownClient."""
        with self._database.change() as database:
            database.execute(
                "UPDATE clients SET domain = coalesce(?, domain), uri_notify = coalesce(?, uri_notify), "
                "uri_upload = coalesce(?, uri_upload), updated = ? WHERE token = ?",
                (*map(_text, (domain, uri_notify, uri_upload)), time.time(), _text(token)),
            )
        if (client := self.find(token)) is None:
            raise UnknownClient
        return client

    def validated(self, token: str) -> None:
        """Its server has acknowledged a message; the first time counts."""
        client = self.find(token)
        if client is not None and client.validated is None:
            with self._database.change() as database:
                database.execute(
                    "UPDATE clients SET validated = ? WHERE token = ? AND validated IS NULL",
                    (time.time(), token),
                )

    def all(self) -> list[Client]:
        rows = self._database.look("SELECT * FROM clients ORDER BY created, name")
        return [Client(*row[:-1]) for row in rows]

    def revoke(self, token: str) -> None:
        """Nobody is this client any more, in all processes; UnknownName, which lists names."""
        with self._database.change() as database:
            if not database.execute("DELETE FROM clients WHERE token = ?", (_text(token),)).rowcount:
                known = [row[0] for row in database.execute("SELECT name FROM clients ORDER BY name")]
                raise UnknownName("token", "client", token, [], known)

    def ensure(self) -> tuple[Client, str] | None:
        """A first client with its secret, when there is none; of several processes that ask, one gets it."""
        with self._database.change() as database:
            if database.execute("SELECT 1 FROM clients LIMIT 1").fetchone():
                return None
            return _add(database, FIRST, "")

    def signing_key(self, token: str) -> bytes:
        """What messages to this client are signed with; it is kept nowhere, but follows from SECRET_KEY."""
        with self._signing:
            return derived(self._secret, f"webhooks of {token}")

    def close(self) -> None:
        self._database.close()

    def _rows(self, token: str) -> list[tuple[Any, ...]]:
        return self._database.look("SELECT * FROM clients WHERE token = ?", _text(token))

    @cached_property
    def _secret(self) -> bytes:
        return secret_of(self._settings)


def _add(database: sqlite3.Connection, name: str, domain: str) -> tuple[Client, str]:
    now, secret = time.time(), new_secret()
    client = Client(secrets.token_hex(16), name, domain, "", "", now, now, None)
    database.execute(
        "INSERT INTO clients (token, name, hash, domain, created, updated) VALUES (?, ?, ?, ?, ?, ?)",
        (client.token, name, hash_of(secret), domain, now, now),
    )
    return client, secret


def _text(given: str | None) -> str | None:
    """JSON can hold halves of characters, which SQLite does not take; no token has them."""
    return None if given is None else given.encode("utf-8", "replace").decode()
