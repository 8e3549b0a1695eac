"""What the backlog dialect keeps between requests; `main` puts it together once."""

from __future__ import annotations

import re
import time
from functools import cached_property
from typing import TYPE_CHECKING

from diffusionapi.api.backlog.cycles import PICTURES
from diffusionapi.api.backlog.translate import DIALECT
from diffusionapi.api.numbers import JobIds
from diffusionapi.auth.secret import secret_of
from diffusionapi.auth.tokens import Tokens
from diffusionapi.core.job import JobState
from diffusionapi.errors import BadRequest, DamagedJob, NotAuthenticated, UnknownJob, UnknownPicture

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from diffusionapi.auth.clients import Client, Clients
    from diffusionapi.blobs.named import Kept
    from diffusionapi.records.open import Archive
    from diffusionapi.service import Service
    from diffusionapi.webhooks.courier import Courier

DURATION = "72h"
_LIFETIME = 72 * 3600
_LONGEST_TOKEN = 200
_DEMO = "demo"
_PICTURE = re.compile(r"(\d{1,16})_(\d)_[0-9a-f]{16}\.png")


class BacklogState:
    """Keys are derived when they are first needed, so a server that nobody asks for a token makes none."""

    def __init__(self, service: Service, clients: Clients, courier: Courier, archive: Archive) -> None:
        self.clients = clients
        self.courier = courier
        self._service = service
        self._archive = archive
        self._ids = JobIds(service.settings, "backlog jobs", archive)
        self._last_uid = 0
        service.intake.own.append(self.own)

    # --- who asks ---------------------------------------------------------------------------------------

    def session(self, client: Client) -> str:
        """A new authToken."""
        now = int(time.time())
        claims = {"username": username(client), "token": client.token, "iat": now, "exp": now + _LIFETIME}
        return self._tokens.signed(claims)

    def bearer(self, given: str) -> Client:
        """Who holds an authToken, or the client's token itself; NotAuthenticated."""
        claims = self._tokens.read(given, required=("token", "exp"))
        token = given if claims is None else str(claims["token"])
        client = self.clients.find(token) if len(token) <= _LONGEST_TOKEN else None
        if client is None:
            raise NotAuthenticated
        return client

    def demo(self) -> Client:
        """The client that anybody may be, made when the first one comes."""
        while True:
            for one in self.clients.all():
                if one.name == _DEMO:
                    return one
            try:
                return self.clients.make(_DEMO)[0]
            except BadRequest:  # another process was quicker
                continue

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(secret_of(self._service.settings, self._archive), "backlog clients")

    # --- requests and their jobs ------------------------------------------------------------------------

    def new_uid(self, now: float) -> int:
        """A number for a request: ms of a whole second, and more by one than the last in this process.

        Another process may have given it away already, which the store then says.
        """
        self._last_uid = max(int(now) * 1000, self._last_uid + 1)
        return self._last_uid

    def job_id(self, uid: int, cycle: int) -> str:
        """The job of a picture: it follows from the request's number, and nobody else can tell it."""
        return self._ids.of(uid, cycle)

    # --- pictures ---------------------------------------------------------------------------------------

    def base(self, connection: HTTPConnection) -> str:
        """How this client reaches us, if the operator has not said how all do."""
        return self._service.settings.base_url or str(connection.base_url).rstrip("/")

    def picture(self, name: str) -> Kept:
        """The picture that a picture's public name stands for; UnknownPicture."""
        if (found := _PICTURE.fullmatch(name)) is None:
            raise UnknownPicture(name)
        cycle = int(found[2])
        job_id, store = self.job_id(int(found[1]), cycle), self._service.store
        try:
            known = self._service.of_dialect(job_id, DIALECT) and store.ticket(job_id).payload["files"][cycle]
            progress = store.progress(job_id)
        except (UnknownJob, DamagedJob):
            raise UnknownPicture(name) from None
        if known != name or progress.state is not JobState.DONE or progress.picture is None:
            raise UnknownPicture(name)
        return self._service.blobs.kept(progress.picture.name)

    def own(self, path: str) -> bytes | None:
        """What a URL of ours leads to, for a request that begins with one; None for other paths."""
        return self.picture(path.removeprefix(PICTURES)).read() if path.startswith(PICTURES) else None


def username(client: Client) -> str:
    return client.domain or client.name
