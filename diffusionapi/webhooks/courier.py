"""Tells servers of clients how their jobs are doing, from a thread of its own that no job ever waits for.

It follows jobs through the store, whichever process took them in and whichever worker runs them. Of the
processes that share the jobs one delivers at a time. What it has done is in the journal, which they share,
too, so that any other goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.errors import Error
from diffusionapi.jobs.file import FileJobStore
from diffusionapi.records.open import Archive
from diffusionapi.webhooks.delivery import Delivery, Patience
from diffusionapi.webhooks.following import Following
from diffusionapi.webhooks.journal import Journal, SqliteJournal
from diffusionapi.webhooks.redis_journal import RedisJournal
from diffusionapi.webhooks.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diffusionapi.blobs.store import Blobs
    from diffusionapi.jobs.store import JobStore
    from diffusionapi.net.guarded import Resolver
    from diffusionapi.settings import Settings
    from diffusionapi.webhooks.journal import Try
    from diffusionapi.webhooks.message import Outgoing

log = logging.getLogger(__name__)

_LOOK = 0.1
"""Seconds between two looks at the jobs."""
_SHARE = 20
"""A look may take a twentieth of the time: with thousands of jobs to look at, the looks get rarer."""
_RETRY = 1.0
"""Seconds until the next try to have the slot, or after a failure."""
_UPKEEP = 60.0
_GRACE = 1.5
"""Seconds that tries have to end when the server stops."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds; for tests to be quick."""

    look: float = _LOOK
    retry: float = _RETRY
    upkeep: float = _UPKEEP


class Courier:
    """`outgoing` are the dialects that have something to tell; without any, nothing is started or opened."""

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        blobs: Blobs,
        outgoing: Mapping[str, Outgoing],
        *,
        archive: Archive | None = None,
        patience: Patience | None = None,
        pace: Pace | None = None,
        resolve: Resolver | None = None,
    ) -> None:
        self._store = store
        self._outgoing = outgoing
        self._patience = patience or Patience()
        self._pace = pace or Pace()
        self._sender = Sender(
            blobs,
            timeout=self._patience.timeout,
            allow_private=settings.allow_private_urls,
            resolve=resolve,
        )
        self._duty = store.duty("webhooks")
        self._journal = _journal_of(store, archive or Archive(settings))
        self._since: int | None = None
        self._complaint = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        if self._outgoing:
            with suppress(Error):  # the thread will meet it again, and say so
                self._since, _ = self._store.accepted(None)
            self._thread.start()

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the tries that run, a moment at most, and let go of the files."""
        if self._thread.is_alive():
            self._thread.join(2 * _GRACE)
        if not self._thread.is_alive():
            self._journal.close()

    def log(self, job_id: str) -> list[Try]:
        """Every try for a job so far, in the order of its messages; of any process."""
        return self._journal.log(job_id)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._duty is None or self._duty.acquire():
                    try:
                        asyncio.run(self._work())
                    finally:
                        if self._duty is not None:
                            self._duty.release()
            except Error as error:
                self._complain(error)
            except Exception:
                # A defect of ours must not leave the jobs to come without their messages.
                log.exception("webhooks failed; starting them again")
            self._stopping.wait(self._pace.retry)

    async def _work(self) -> None:
        delivery = Delivery(self._outgoing, self._journal, self._sender, self._patience, kept=self._kept)
        following = Following(self._store, self._outgoing, self._journal, delivery)
        try:
            following.begin(self._since)
            next_upkeep, upkeep = 0.0, None
            while not self._stopping.is_set() and self._kept():
                began = time.monotonic()
                try:
                    following.look()
                    self._complaint = ""
                    took = time.monotonic() - began
                    if began >= next_upkeep and (upkeep is None or upkeep.done()):
                        next_upkeep = began + self._pace.upkeep
                        # Beside the looks: it asks for every job that has a log.
                        upkeep = asyncio.create_task(asyncio.to_thread(self._tidy, following))
                except Error as error:
                    self._complain(error)
                    took = self._pace.retry
                await asyncio.sleep(min(1.0, max(self._pace.look, took * _SHARE)))
        finally:
            await delivery.end(_GRACE)

    def _tidy(self, following: Following) -> None:
        try:
            following.tidy()
        except Error as error:
            self._complain(error)
        except Exception:
            log.exception("logs of webhooks that are over were not removed")

    def _kept(self) -> bool:
        """Is it still ours to deliver?"""
        return self._duty is None or self._duty.kept()

    def _complain(self, error: Error) -> None:
        """Once, and not at every look until it is better."""
        if error.sentence != self._complaint:
            log.warning("webhooks wait: %s", error.sentence)
        self._complaint = error.sentence


def _journal_of(store: JobStore, archive: Archive) -> Journal:
    if archive.redis is not None:
        return RedisJournal(archive.redis)
    return SqliteJournal(store.folder / "webhooks.sqlite" if isinstance(store, FileJobStore) else None)
