"""Jobs as files in one folder, shared by any number of servers and workers on one machine.

{id}_job.json   the ticket, written once; an OS lock on it is the hold of a worker, so the kernel
                frees it when the worker dies
{id}.json       the progress, replaced at every event; absent until somebody starts
{id}.cancel     its client took the job back while a worker held it
index.sqlite    the order of the jobs (index.py), derived from the files
previews/       what running jobs look like now (previews.py); nothing is lost with it
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi import files
from diffusionapi.core.events import Cancelled, Failed, Failure
from diffusionapi.core.job import JobState, Progress, Ticket
from diffusionapi.core.lane import lane_of
from diffusionapi.errors import DamagedJob, JobEnded, JobExists, UnknownJob
from diffusionapi.jobs import codec
from diffusionapi.jobs.index import FIRST, Index, Place, Row
from diffusionapi.jobs.previews import FilePreviews
from diffusionapi.jobs.slot import Slot
from diffusionapi.jobs.store import (
    ADOPT_AFTER,
    KEY_SECONDS,
    TOMBSTONE_SECONDS,
    Claim,
    Entry,
    IdempotencyKey,
    JobStore,
    Listing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from diffusionapi.core.lane import Lane
    from diffusionapi.jobs.affinity import Preference

_ID = re.compile(r"[0-9a-z][0-9a-z-]{0,63}")
_TICKET_SUFFIX = "_job.json"
_POLL = 0.01
"""Seconds between looks at what other processes did; this process' own submits wake at once."""
_RUNNING_LISTED = 1000


class FileJobStore(JobStore):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files.make_folder(folder)
        self._index = Index(folder / "index.sqlite")
        self._changed = threading.Condition()
        self._changes = 0
        self._held: set[str] = set()
        self.previews = FilePreviews(folder / "previews")
        self._adopt(everything=self._index.fresh)

    # --- what clients ask -------------------------------------------------------------------------------

    def submit(self, ticket: Ticket, *, limit: int, key: IdempotencyKey | None = None) -> str:
        if earlier := self._index.precheck(1, limit=limit, key=key):
            return earlier
        return self._submit([ticket], limit, key)

    def submit_all(self, tickets: Sequence[Ticket], *, limit: int) -> None:
        self._index.precheck(len(tickets), limit=limit, key=None)
        self._submit(tickets, limit, None)

    def _submit(self, tickets: Sequence[Ticket], limit: int, key: IdempotencyKey | None) -> str:
        """Keep the files, then their places in the line; the id of the first, or of the job with the key."""
        kept, written = "", list[Path]()
        try:
            for one in tickets:
                path = self._ticket_file(one.id)
                if path.exists() or not files.create(path, codec.write_ticket(one, key)):
                    raise JobExists(one.id)
                written.append(path)
            kept = self._index.add(tickets, limit=limit, key=key)
        finally:
            if kept != tickets[0].id:
                for path in written:
                    path.unlink(missing_ok=True)
        self.wake()
        return kept

    def progress(self, job_id: str) -> Progress:
        content = files.read(self._progress_file(job_id))
        if content is not None and (progress := codec.read_progress(content)):
            return progress
        if not self._ticket_file(job_id).exists():
            raise UnknownJob(job_id)
        return Progress()

    def ticket(self, job_id: str) -> Ticket:
        content = files.read(self._ticket_file(job_id))
        if content is None:
            raise UnknownJob(job_id)
        return codec.read_ticket(job_id, content)

    def cancel(self, job_id: str) -> Progress:
        self._check_open(job_id)
        hold = self._lock(job_id)
        if hold is None:
            files.write(self._cancel_file(job_id), b"", durable=False)
            return self.progress(job_id)
        try:
            # Now that nobody else can move it: it may have ended since.
            return self._end(job_id, self._check_open(job_id), Cancelled())
        finally:
            os.close(hold)

    def _check_open(self, job_id: str) -> Progress:
        progress = self.progress(job_id)
        if progress.state.ended:
            raise JobEnded(job_id, progress.state)
        return progress

    def forget(self, job_id: str) -> None:
        content = files.read(self._progress_file(job_id)) or b""
        # The ticket goes first: a job is one that can be run again only while its ticket is there.
        for path in (self._ticket_file(job_id), self._progress_file(job_id), self._cancel_file(job_id)):
            path.unlink(missing_ok=True)
        self._index.bury(job_id, content)

    def epitaph(self, job_id: str) -> Progress | None:
        content = self._index.epitaph(job_id)
        return codec.read_progress(content) if content else None

    def position(self, job_id: str) -> int | None:
        return self._index.position(job_id)

    def listing(self, limit: int) -> Listing:
        waiting = [
            Entry(row.id, row.created, Progress(), place)
            for place, (_, row) in enumerate(self._index.line("waiting", limit=limit), start=1)
        ]
        running = []
        for _, row in self._index.line("running", limit=_RUNNING_LISTED):
            try:
                progress = self.progress(row.id)
            except UnknownJob:
                continue
            if progress.state is JobState.RUNNING:
                running.append(Entry(row.id, row.created, progress, None))
        return Listing(running, waiting, self._index.count("waiting"))

    # --- what workers ask -------------------------------------------------------------------------------

    def claim(
        self,
        wanted: Callable[[Lane], bool] | None = None,
        *,
        preference: Preference | None = None,  # noqa: ARG002 - of one priority first in, first out
    ) -> Claim | None:
        for job_id in self._candidates():
            if wanted is not None and not self._is(wanted, job_id):
                continue
            hold = self._lock(job_id)
            if hold is not None and (claim := self._take(job_id, hold)):
                return claim
        return None

    def _is(self, wanted: Callable[[Lane], bool], job_id: str) -> bool:
        """Asked without the job's lock, since a ticket never changes. To take one that cannot be read is to
        end it, which anybody may."""
        try:
            return wanted(lane_of(self.ticket(job_id)))
        except (UnknownJob, DamagedJob):
            return True

    def _candidates(self) -> Iterator[str]:
        """Jobs that may be free, in order: those whose worker may have died, then those that wait."""
        for _, row in self._index.line("running", limit=_RUNNING_LISTED):
            if row.id not in self._held:
                yield row.id
        last = FIRST
        while page := self._index.line("waiting", after=last, limit=16):
            for last, row in page:  # noqa: B007 - read by the next page
                if row.id not in self._held:
                    yield row.id

    def _lock(self, job_id: str) -> int | None:
        """A descriptor that holds the job's lock, unless somebody else does."""
        path = self._ticket_file(job_id)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._index.remove(job_id)
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        try:
            there = os.path.samestat(os.fstat(descriptor), path.stat())
        except FileNotFoundError:
            there = False
        if not there:  # forgotten between the two calls
            os.close(descriptor)
            return None
        return descriptor

    def _take(self, job_id: str, hold: int) -> Claim | None:
        """The claim of a job whose lock we have; None, and the lock freed, when there is nothing to do."""
        claim = None
        try:
            progress = self.progress(job_id)
            if progress.state.ended:
                self._index.move(job_id, "ended")
            else:
                claim = Claim(self, self.ticket(job_id), progress, hold)
        except DamagedJob as damage:
            self._end(job_id, Progress(), Failed(Failure(damage.code, damage.sentence)))
        finally:
            if claim is None:
                os.close(hold)
        if claim is not None:
            self._held.add(job_id)
        return claim

    def save(self, claim: Claim, progress: Progress, *, durable: bool) -> None:
        self._write(claim.ticket.id, progress, durable=durable)

    def cancel_requested(self, claim: Claim) -> bool:
        return self._cancel_file(claim.ticket.id).exists()

    def release(self, claim: Claim) -> None:
        assert isinstance(claim.hold, int)
        self._held.discard(claim.ticket.id)
        os.close(claim.hold)
        if not claim.progress.state.ended:
            self.wake()

    # --- upkeep -----------------------------------------------------------------------------------------

    def living(self) -> Iterator[Ticket]:
        for job_id in self._index.living():
            with suppress(UnknownJob, DamagedJob):  # forgotten since, or about to fail
                yield self.ticket(job_id)

    def accepted(self, after: int | None) -> tuple[int, list[str]]:
        if after is None:
            return self._index.newest(), []
        new = self._index.added(after=after)
        return (new[-1][0] if new else min(after, self._index.newest())), [job_id for _, job_id in new]

    def ended(self, *, before: float) -> list[str]:
        return self._index.ended(before=before)

    def sweep(self, *, ended_before: float) -> int:
        expired = self._index.ended(before=ended_before)
        for job_id in expired:
            self.forget(job_id)
        now = time.time()
        self._index.expire(gone_before=now - TOMBSTONE_SECONDS, keys_before=now - KEY_SECONDS)
        files.remove_leftovers(self.folder, older_than=now - 3600)
        self.previews.sweep()
        self._adopt(everything=False)
        return len(expired)

    def _adopt(self, *, everything: bool) -> None:
        """Take in tickets that are in no line: of an index that was lost, or put there by others.

        A very young one may belong to a submit that is still deciding, unless the index itself is new.
        """
        known = self._index.ids()
        newest = time.time() if everything else time.time() - ADOPT_AFTER
        strays: list[Row] = []
        for entry in os.scandir(self.folder):
            job_id = entry.name.removesuffix(_TICKET_SUFFIX)
            if job_id == entry.name or job_id in known or not _ID.fullmatch(job_id):
                continue
            made = _modified(entry)
            if made is not None and made <= newest:
                content = files.read(self._progress_file(job_id))
                progress = codec.read_progress(content) if content else None
                key, priority = codec.read_place(files.read(self._ticket_file(job_id)) or b"")
                strays.append(Row(job_id, _place(progress or Progress()), made, key, priority))
        if strays:
            # A submit that was cut off, and made again under its key since, is one job and not two.
            for job_id in self._index.adopt(sorted(strays, key=lambda row: row.created)):
                self._ticket_file(job_id).unlink(missing_ok=True)
            self.wake()

    def pulse(self) -> Hashable:
        return self._changes, self._index.version()

    def wait(self, timeout: float, *, since: Hashable) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            while self.pulse() == since and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(_POLL, left))

    def wake(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def duty(self, name: str) -> Slot:
        return Slot(self.folder / f"{name}.lock")

    def check(self) -> None:
        files.check_room(self.folder)
        self._index.count("waiting")

    def close(self) -> None:
        self._index.close()

    # --- files ------------------------------------------------------------------------------------------

    def _end(self, job_id: str, progress: Progress, event: Cancelled | Failed) -> Progress:
        ended = progress.evolve(event, time.time())
        self._write(job_id, ended, durable=True)
        return ended

    def _write(self, job_id: str, progress: Progress, *, durable: bool) -> None:
        files.write(self._progress_file(job_id), codec.write_progress(progress), durable=durable)
        if durable:
            self._index.move(job_id, _place(progress))

    def _ticket_file(self, job_id: str) -> Path:
        return self._file(job_id, _TICKET_SUFFIX)

    def _progress_file(self, job_id: str) -> Path:
        return self._file(job_id, ".json")

    def _cancel_file(self, job_id: str) -> Path:
        return self._file(job_id, ".cancel")

    def _file(self, job_id: str, suffix: str) -> Path:
        if not _ID.fullmatch(job_id):
            raise UnknownJob(job_id)
        return self.folder / (job_id + suffix)


def _modified(entry: os.DirEntry[str]) -> float | None:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return None


def _place(progress: Progress) -> Place:
    if progress.state.ended:
        return "ended"
    return "running" if progress.state is JobState.RUNNING else "waiting"
