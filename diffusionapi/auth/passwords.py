"""Passwords as argon2 hashes, made and compared in a few threads of their own."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

_AT_ONCE = 2
"""Each hash takes 64 MiB and most of a processor for some 50 ms; more of them wait their turn."""


class Passwords:
    def __init__(self) -> None:
        self._hasher = PasswordHash((Argon2Hasher(),))
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")

    async def hashed(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def fits(self, password: str, kept: str | None) -> bool:
        """Whether a password is the one of this hash. Without a hash it takes as long, and is not."""

        def compare() -> bool:
            nobodys = self._nobodys
            return self._hasher.verify(password, kept or nobodys) and kept is not None

        return await asyncio.get_running_loop().run_in_executor(self._threads, compare)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_hex())
