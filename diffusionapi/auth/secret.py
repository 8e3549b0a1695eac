"""The key that everything is signed with: SECRET_KEY, or one that is made once and kept, in a file or, for
many machines, in their Redis."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi import files
from diffusionapi.errors import Misconfigured
from diffusionapi.records.open import Archive, agreed

if TYPE_CHECKING:
    from diffusionapi.records.shared import SharedConnection
    from diffusionapi.settings import Settings

log = logging.getLogger(__name__)

SHORT = 16
"""Characters under which a key may be guessed by trying."""
_NAME = "secret"
"""What it is called in Redis."""


def secret_of(settings: Settings, archive: Archive | None = None) -> bytes:
    """The key of this server, made if there is none; all its processes get the same, on all machines."""
    if given := settings.secret_key.get_secret_value():
        if len(given) < SHORT:
            log.warning(
                "SECRET_KEY has %d characters; `openssl rand -hex 32` makes one nobody guesses", len(given)
            )
        return given.encode()
    path = settings.path(settings.secret_key_file)
    kept = files.read(path)
    if kept is not None and len(kept.strip()) < SHORT:
        raise Misconfigured(f"{path.name} holds no key; remove it, and a new one is made")
    if (redis := (archive or Archive(settings)).redis) is not None:
        return _common(redis, path.name, kept)
    if kept is None:
        log.warning("SECRET_KEY is not set, so a key was made and is kept in %s", path.name)
        kept = _made(path)
    return kept.strip()


def _common(redis: SharedConnection, file: str, kept: bytes | None) -> bytes:
    """What all machines sign with: the key of the first of them that was asked for one."""
    own = secrets.token_hex(32).encode() if kept is None else kept.strip()
    found = agreed(redis, _NAME, own)
    if kept is None and found == own:
        log.warning("SECRET_KEY is not set, so a key was made and is kept in Redis")
    elif kept is not None and found != own:
        log.warning("the key in %s is not used: the servers on this Redis have agreed on another", file)
    return found


def _made(path: Path) -> bytes:
    """A new key, or that of the process that was quicker: a link, unlike a rename, never replaces."""
    with files.storage_errors(path.name):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_hex(32).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                path.hardlink_to(name)
        finally:
            Path(name).unlink(missing_ok=True)
        return path.read_bytes()


def derived(secret: bytes, purpose: str) -> bytes:
    """A key for one purpose alone: what is signed for another does not pass (HKDF's expand, RFC 5869)."""
    return hmac.new(secret, b"diffusionapi " + purpose.encode() + b"\x01", hashlib.sha256).digest()
