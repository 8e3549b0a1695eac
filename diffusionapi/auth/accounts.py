"""The verbs of accounts: sign up, log in, say who a token's bearer is."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from functools import cached_property
from typing import TYPE_CHECKING

from diffusionapi.auth.attempts import Attempts
from diffusionapi.auth.passwords import Passwords
from diffusionapi.auth.secret import secret_of
from diffusionapi.auth.tokens import LIFETIME, Tokens
from diffusionapi.auth.users import Users
from diffusionapi.errors import BadRequest, NameTaken, NotAllowed, NotAuthenticated
from diffusionapi.records.open import Archive

if TYPE_CHECKING:
    from diffusionapi.settings import Settings

PUBLIC = "all"
"""The user whom everybody is that has no name; nobody signs up or logs in by it."""
_LONGEST_NAME = 100
_LONGEST_PASSWORD = 1024


class Accounts:
    """What is kept is opened, or made, when it is first needed: most servers have no users."""

    def __init__(self, settings: Settings, archive: Archive | None = None) -> None:
        self._settings = settings
        self._archive = archive or Archive(settings)
        self._users = Users(settings, self._archive)
        self._attempts = Attempts(settings.login_attempts)
        self._passwords = Passwords()

    @property
    def public(self) -> bool:
        """Whether requests without a token are let in."""
        return self._settings.enable_public_access

    def tokens(self, purpose: str) -> Tokens:
        return Tokens(self._secret, purpose)

    async def sign_up(self, name: str, password: str, address: str) -> None:
        """Keep a new user; NotAllowed, TooManyAttempts, BadRequest, NameTaken."""
        if not self._settings.enable_signup:
            raise NotAllowed("Signup is disabled")
        _check_name(name)
        if not 0 < len(password) <= _LONGEST_PASSWORD or not _is_text(password):
            raise BadRequest("password", f"must have 1 to {_LONGEST_PASSWORD} characters")
        self._attempts.sign_up(address)
        if name.casefold() == PUBLIC or await self._password(name) is not None:
            raise NameTaken(name)
        kept = await self._passwords.hashed(password)
        await asyncio.to_thread(self._users.add, name, kept)

    async def log_in(self, name: str, password: str, address: str) -> None:
        """Nothing, for a user's own password; NotAuthenticated, TooManyAttempts.

        What it takes does not tell whether there is such a user.
        """
        # Longer ones are nobody's, and would fill our memory and keep the hasher busy.
        possible = len(name) <= _LONGEST_NAME and len(password) <= _LONGEST_PASSWORD
        possible = possible and _is_text(name) and _is_text(password)
        name, password = (name, password) if possible else (name[:_LONGEST_NAME], "")
        self._attempts.log_in(name, address)
        known = await self._password(name) if possible else None
        if not await self._passwords.fits(password, known):
            raise NotAuthenticated
        self._attempts.succeeded(name, address)

    def knows(self, name: str) -> bool:
        """Whether requests may be made by this name."""
        return self.public if name == PUBLIC else self._users.password(name) is not None

    async def passing_user(self) -> str:
        """A new user whose password nobody knows; those whose tokens have expired go."""
        name = f"default_{uuid.uuid4()}"
        kept = await self._passwords.hashed(secrets.token_urlsafe(32))
        await asyncio.to_thread(self._users.forget_passing, made_before=time.time() - LIFETIME)
        await asyncio.to_thread(self._users.add, name, kept, passing=True)
        return name

    def close(self) -> None:
        self._passwords.close()
        self._users.close()

    async def _password(self, name: str) -> str | None:
        return await asyncio.to_thread(self._users.password, name)

    @cached_property
    def _secret(self) -> bytes:
        return secret_of(self._settings, self._archive)


def _check_name(name: str) -> None:
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or name != name.strip() or "/" in name:
        raise BadRequest(
            "username", f"must have 1 to {_LONGEST_NAME} printable characters, no '/', no blank at either end"
        )


def _is_text(given: str) -> bool:
    """JSON can hold halves of characters, which no encoding knows."""
    return not any("\ud800" <= one <= "\udfff" for one in given)
