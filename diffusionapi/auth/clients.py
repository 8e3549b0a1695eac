"""Clients with servers of their own: a token that names one, its secret, and where its server is called."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from diffusionapi.auth.keys import FIRST, check_name, hash_of, new_secret
from diffusionapi.auth.secret import derived, secret_of
from diffusionapi.errors import BadRequest, UnknownClient, UnknownName, WrongSecret
from diffusionapi.records.open import Archive
from diffusionapi.records.records import Kind

if TYPE_CHECKING:
    from diffusionapi.records.records import Row
    from diffusionapi.settings import Settings

_CLIENTS = Kind(
    table="clients",
    schema="""
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
""",
    what="clients",
    columns={
        **dict.fromkeys(("token", "name", "domain", "uri_notify", "uri_upload"), str),
        **dict.fromkeys(("created", "updated", "validated"), float),
        "hash": bytes,
    },
    id="token",
    name="name",
)


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
    """Kept where the API keys are, which is opened, or made, when it is first needed."""

    def __init__(self, settings: Settings, archive: Archive | None = None) -> None:
        self._settings = settings
        self._archive = archive or Archive(settings)
        self._records = self._archive.records(_CLIENTS, settings.path(settings.keys_file))
        self._signing = threading.Lock()

    def check(self, token: str, secret: str) -> Client:
        """Who this is; UnknownClient, WrongSecret."""
        row = self._records.get(_text(token))
        if row is None:
            raise UnknownClient
        if not hmac.compare_digest(row["hash"], hash_of(secret)):
            raise WrongSecret
        return _client(row)

    def find(self, token: str) -> Client | None:
        row = self._records.get(_text(token))
        return None if row is None else _client(row)

    def make(self, name: str, domain: str = "") -> tuple[Client, str]:
        """A new client and its secret, told this once; BadRequest when the name is taken or odd."""
        check_name(name)
        if (made := self._add(name, domain)) is None:
            raise BadRequest("name", f"there is a client {name!r} already; revoke it, or choose another name")
        return made

    def change(
        self,
        token: str,
        *,
        domain: str | None = None,
        uri_notify: str | None = None,
        uri_upload: str | None = None,
    ) -> Client:
        """Call it elsewhere from now on; what is None stays. UnknownClient."""
        given = {"domain": domain, "uri_notify": uri_notify, "uri_upload": uri_upload}
        new = {column: _text(value) for column, value in given.items() if value is not None}
        self._records.change(_text(token), updated=time.time(), **new)
        if (client := self.find(token)) is None:
            raise UnknownClient
        return client

    def validated(self, token: str) -> None:
        """Its server has acknowledged a message; the first time counts."""
        client = self.find(token)
        if client is not None and client.validated is None:
            self._records.fill(token, "validated", time.time())

    def all(self) -> list[Client]:
        return [_client(row) for row in self._records.all()]

    def revoke(self, token: str) -> None:
        """Nobody is this client any more, in all processes; UnknownName, which lists names."""
        if not self._records.remove(_text(token)):
            known = sorted(row["name"] for row in self._records.all())
            raise UnknownName("token", "client", token, [], known)

    def ensure(self) -> tuple[Client, str] | None:
        """A first client with its secret, when there is none; of several processes that ask, one gets it."""
        return self._add(FIRST, "", only_first=True)

    def signing_key(self, token: str) -> bytes:
        """What messages to this client are signed with; it is kept nowhere, but follows from SECRET_KEY."""
        with self._signing:
            return derived(self._secret, f"webhooks of {token}")

    def close(self) -> None:
        self._records.close()

    def _add(self, name: str, domain: str, *, only_first: bool = False) -> tuple[Client, str] | None:
        now, secret = time.time(), new_secret()
        client = Client(secrets.token_hex(16), name, domain, "", "", now, now, None)
        added = self._records.add(asdict(client) | {"hash": hash_of(secret)}, only_first=only_first)
        return (client, secret) if added else None

    @cached_property
    def _secret(self) -> bytes:
        return secret_of(self._settings, self._archive)


def _client(row: Row) -> Client:
    return Client(**{column: value for column, value in row.items() if column != "hash"})


def _text(given: str) -> str:
    """JSON can hold halves of characters, which nothing that keeps words takes; no token has them."""
    return given.encode("utf-8", "replace").decode()
