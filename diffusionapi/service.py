"""The verbs every dialect shares: submit, look, watch, wait, cancel, forget, load.

Store calls that write run in threads, so that a slow disk never holds up the polls of others. Those that read
do when the store is elsewhere: a file is read in less time than a thread takes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar, overload

from diffusionapi.blobs.trainings import Trainings
from diffusionapi.core.events import Numbered, Preview, Queued
from diffusionapi.core.job import JobState, Progress, Ticket
from diffusionapi.core.work import TrainingRequest, mode_of
from diffusionapi.errors import DamagedJob, Error, StorageUnavailable, UnknownJob, UnknownPicture
from diffusionapi.logs import Complaints, about

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from diffusionapi.blobs.store import Blobs
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.core.work import Mode
    from diffusionapi.intake.intake import Intake
    from diffusionapi.jobs.store import Entry, IdempotencyKey, JobStore, Listing
    from diffusionapi.settings import Settings

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_LOOK = 0.04
"""Seconds between two looks of a watcher at its job."""
_WANT = 1.0
"""Seconds between two words of a watcher that it still wants previews."""
_LOOK_AT_LINE = 1.0
"""Seconds between two looks of a watcher at the place of its job in the line."""
_LOOK_AGAIN = 1.0
"""Seconds until a watcher looks again when the store was away."""
_SWEEP = 60.0
_ASKING = 32
"""Questions that may be under way to a store elsewhere."""
_REMEMBERED = 10_000
"""Jobs of which it is remembered by which dialect they came and what they are, so that a poll reads one file
and not two, and a list of them none."""


@dataclass(frozen=True, slots=True)
class _Label:
    """What is asked of a ticket again and again."""

    dialect: str
    mode: Mode


def _label(ticket: Ticket) -> _Label:
    return _Label(ticket.dialect, mode_of(ticket.request))


@dataclass(slots=True)
class _Seen:
    """What a watcher knows; times are those of its next words and looks."""

    previews: bool
    preview: Preview | None = None
    position: int | None = None
    next_want: float = 0.0
    next_look: float = 0.0


class Service:
    def __init__(
        self, settings: Settings, store: JobStore, blobs: Blobs, catalog: Catalog, intake: Intake
    ) -> None:
        self.settings = settings
        self.store = store
        self.blobs = blobs
        self.catalog = catalog
        self.intake = intake
        self._trainings = Trainings(settings)
        self.passing: set[str] = set()
        """Dialects whose pictures go with their jobs; others' stay until the operator removes them."""
        self._closing = asyncio.Event()
        self._labels: dict[str, _Label] = {}
        self._labelling = threading.Lock()
        self._asking = ThreadPoolExecutor(_ASKING, "store")
        self._complaints = Complaints()

    async def ask(self, question: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """What the store has to say; while it is asked elsewhere, others are answered."""
        if not self.store.distant:
            return question(*given, **named)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._asking, partial(question, *given, **named))

    def complain(self, error: StorageUnavailable) -> None:
        """Have it in the log that requests are refused for this reason: once, and not for each of them."""
        level = logging.ERROR if self._complaints.news(error.sentence) else logging.DEBUG
        log.log(level, "requests are refused: %s", error.sentence)

    async def submit(self, ticket: Ticket, key: IdempotencyKey | None = None) -> str:
        """Accept a job; its id, or that of the earlier job the key belongs to."""
        limit = self.settings.queue_limit
        job_id = await asyncio.to_thread(self.store.submit, ticket, limit=limit, key=key)
        if job_id == ticket.id:
            log.info("accepted from the %s API", ticket.dialect, extra=about(job_id))
        return job_id

    async def submit_all(self, tickets: Sequence[Ticket]) -> None:
        """Accept several jobs of one request, all or none; QueueFull, JobExists."""
        limit = self.settings.queue_limit
        await asyncio.to_thread(self.store.submit_all, tickets, limit=limit)
        for one in tickets:
            log.info("accepted from the %s API", one.dialect, extra=about(one.id))

    def of_dialect(self, job_id: str, dialect: str) -> bool:
        """Whether a job came by this dialect: others do not know it. UnknownJob when nobody does.

        One whose ticket cannot be read is everybody's; nothing can come of it but the news that it failed.
        It asks the store, and so is not for the event loop, which has `belongs`.
        """
        try:
            return self._label_of(job_id).dialect == dialect
        except DamagedJob:
            return True

    async def belongs(self, job_id: str, dialect: str) -> bool:
        """The same as `of_dialect`."""
        if job_id in self._labels:
            return self.of_dialect(job_id, dialect)
        return await self.ask(self.of_dialect, job_id, dialect)

    def _label_of(self, job_id: str) -> _Label:
        label = self._labels.get(job_id)
        if label is None:
            label = _label(self.store.ticket(job_id))
            with self._labelling:
                while len(self._labels) >= _REMEMBERED:
                    del self._labels[next(iter(self._labels))]
                self._labels[job_id] = label
        return label

    async def look(self, job_id: str) -> Progress:
        """How far a job is."""
        known = self.store.at_hand(job_id)
        return known if known is not None else await self.ask(self.store.progress, job_id)

    async def ticket(self, job_id: str) -> Ticket:
        return await asyncio.to_thread(self.store.ticket, job_id)

    async def load(self, job_id: str) -> tuple[Ticket, bytes]:
        """What was asked for and the picture that came of it."""
        return await asyncio.to_thread(self._load, job_id)

    def _load(self, job_id: str) -> tuple[Ticket, bytes]:
        picture = self.store.progress(job_id).picture
        if picture is None:
            raise UnknownJob(job_id)
        try:
            return self.store.ticket(job_id), self.blobs.get(picture.name)
        except UnknownPicture as gone:  # somebody tidied the folder
            raise UnknownJob(job_id) from gone

    async def cancel(self, job_id: str) -> Progress:
        return await asyncio.to_thread(self.store.cancel, job_id)

    async def forget(self, job_id: str) -> None:
        await asyncio.to_thread(self.store.forget, job_id)
        log.info("forgotten", extra=about(job_id))

    async def listing(self, limit: int, dialect: str) -> Listing:
        """The jobs of one dialect among those that run and the first ones that wait, and what each is."""
        return await asyncio.to_thread(self._listing, limit, dialect)

    def _listing(self, limit: int, dialect: str) -> Listing:
        def own(entries: list[Entry]) -> list[Entry]:
            found = []
            for one in entries:
                try:
                    label = self._label_of(one.job_id)
                except UnknownJob:  # it ended meanwhile
                    continue
                except DamagedJob:  # everybody's, as `of_dialect` has it
                    found.append(one)
                    continue
                if label.dialect == dialect:
                    found.append(replace(one, mode=label.mode))
            return found

        listing = self.store.listing(limit)
        return replace(listing, running=own(listing.running), waiting=own(listing.waiting))

    async def wait(self, job_id: str, timeout: float) -> Progress:
        """The progress of a job when it has ended, or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        progress = await self.look(job_id)
        while not progress.state.ended and time.monotonic() < deadline and not self._closing.is_set():
            await asyncio.sleep(_LOOK)
            progress = await self.look(job_id)
        return progress

    async def want_preview(self, job_id: str) -> None:
        """Have previews made of a job for the next few seconds; to be said again and again."""
        await self.ask(self.store.previews.want, job_id)

    async def preview(self, job_id: str) -> Preview | None:
        """What the picture of a running job looks like now, if anybody wanted to know."""
        previews = self.store.previews
        if previews.at_hand(job_id):
            return previews.latest(job_id)
        return await self.ask(previews.latest, job_id)

    async def drop_preview(self, job_id: str) -> None:
        """Nobody is to see it any more."""
        await self.ask(self.store.previews.drop, job_id)

    @overload
    def watch(
        self, job_id: str, after: int = 0, *, previews: Literal[False] = False
    ) -> AsyncIterator[Numbered]: ...

    @overload
    def watch(self, job_id: str, after: int = 0, *, previews: bool) -> AsyncIterator[Numbered | Preview]: ...

    async def watch(
        self, job_id: str, after: int = 0, *, previews: bool = False
    ) -> AsyncIterator[Numbered | Preview]:
        """The events of a job past number `after`, as they happen, until its last one.

        While it waits there is a Queued with its position whenever that changes. With `previews`, each new
        one is given while it runs, before the step it shows if it is ready by then; who is slow misses some.
        """
        seen = _Seen(previews)
        while not self._closing.is_set():
            try:
                progress, news = await self._news(job_id, after, seen)
            except StorageUnavailable:
                # The job goes on without us, and so does its story when the store is back. Who watches has
                # begun to answer, so nothing else can be said even if nothing was told yet.
                await asyncio.sleep(_LOOK_AGAIN)
                continue
            after = max(after, progress.number)
            for one in news:
                yield one
            if progress.state.ended:
                return
            await asyncio.sleep(_LOOK)

    async def _news(self, job_id: str, after: int, seen: _Seen) -> tuple[Progress, list[Numbered | Preview]]:
        """How far a job is, and what of it a watcher has not been told."""
        if seen.previews and time.monotonic() >= seen.next_want:
            seen.next_want = time.monotonic() + _WANT
            await self.want_preview(job_id)
        progress = await self._progress_or_epitaph(job_id)
        news: list[Numbered | Preview] = []
        if seen.previews and progress.state is JobState.RUNNING:
            preview = await self.preview(job_id)
            if preview is not None and preview != seen.preview:
                seen.preview = preview
                news.append(preview)
        if progress.state is JobState.QUEUED and time.monotonic() >= seen.next_look:
            seen.next_look = time.monotonic() + _LOOK_AT_LINE
            position = await asyncio.to_thread(self.store.position, job_id)
            if position is not None and position != seen.position:
                seen.position = position
                news.append(Numbered(after, Queued(position=position)))
        return progress, [*news, *progress.after(after)]

    async def _progress_or_epitaph(self, job_id: str) -> Progress:
        """Another client may have fetched the end of a job, and so removed it, while this one watched."""
        try:
            return await self.look(job_id)
        except UnknownJob:
            epitaph = await asyncio.to_thread(self.store.epitaph, job_id)
            if epitaph is None:
                raise
            return epitaph

    async def keep_tidy(self) -> None:
        """Forget what nobody fetched, and uploads that nobody uses, for as long as the server runs."""
        ttl = self.settings.job_ttl
        while not self._closing.is_set():
            try:
                await asyncio.to_thread(self.sweep_pictures, ended_before=time.time() - ttl)
                count = await asyncio.to_thread(self.store.sweep, ended_before=time.time() - ttl)
                if count:
                    log.info("removed %d finished jobs that nobody fetched", count)
                if count := await asyncio.to_thread(self.sweep_uploads):
                    log.info("removed %d uploads that nobody uses", count)
                if count := await asyncio.to_thread(self.sweep_trainings):
                    log.info("removed what %d trainings left that are over", count)
            except Error as error:
                log.warning("tidying failed: %s", error.sentence)
            try:
                await asyncio.wait_for(self._closing.wait(), min(_SWEEP, ttl))
            except TimeoutError:
                continue

    def sweep_uploads(self) -> int:
        """Remove uploads past their time that no job needs; how many.

        Those of jobs become young again at half their time, long before another process might take them.
        """
        now, ttl = time.time(), self.settings.upload_ttl
        if not (aged := self.intake.uploads.aged(now - ttl / 2)):
            return 0
        needed = {name for ticket in self.store.living() for name in ticket.request.uploads}
        return self.intake.uploads.sweep(older_than=now - ttl, keep=needed & aged)

    def sweep_trainings(self) -> int:
        """Remove what trainings needed to go on whose jobs are over, or gone; how many.

        The look at the folders comes first: one that is made after it belongs to a job that is still to run.
        """
        if not (kept := self._trainings.kept()):
            return 0
        requests = [ticket.request for ticket in self.store.living()]
        needed = {request.name for request in requests if isinstance(request, TrainingRequest)}
        for name in kept - needed:
            self._trainings.clear(name)
        return len(kept - needed)

    def sweep_pictures(self, *, ended_before: float) -> None:
        """Remove the pictures of jobs that are about to be forgotten, in dialects that promise no more."""
        for job_id in self.store.ended(before=ended_before):
            with suppress(UnknownJob, DamagedJob):
                picture = self.store.progress(job_id).picture
                if picture is not None and self._label_of(job_id).dialect in self.passing:
                    self.blobs.remove(picture.name)

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        """End every wait and watch, so that the server can stop."""
        self._closing.set()
