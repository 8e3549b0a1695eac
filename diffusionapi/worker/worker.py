"""One engine and the thread that feeds it: from the claim of a job to its last event.

The engine may die or hang; the thread stays. A job whose engine died is queued again at its old place, and
ends in an error when that has happened too often. A stop gives running jobs back as if never begun.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from diffusionapi.core.events import (
    Cancelled,
    Failed,
    Failure,
    Finished,
    Phase,
    Picture,
    Preview,
    Queued,
    Saving,
    Started,
    Step,
)
from diffusionapi.core.job import JobState
from diffusionapi.engine.engine import Rendered
from diffusionapi.errors import EngineDied, StorageUnavailable
from diffusionapi.logs import about

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.blobs.folder import FolderBlobs
    from diffusionapi.engine.engine import Engine, EngineEvent
    from diffusionapi.jobs.slot import Slot
    from diffusionapi.jobs.store import Claim, JobStore

log = logging.getLogger(__name__)

MAX_CRASHES = 3
"""Engine deaths and time-outs under one job before it ends in an error."""
MAX_INTERRUPTIONS = 10
"""Vanished workers under one job before it is held to be the cause."""
_LOOK = 0.05
"""Seconds between looks for cancels, time limits and new jobs while the engine is busy."""
_NAP = 0.5
"""Seconds an idle worker sleeps at most; a new job wakes it at once."""
_RETRY = 1.0
"""Seconds before storage that failed, or an engine that did not start, is tried again."""


@dataclass(slots=True)
class _Run:
    """A job in the engine."""

    claim: Claim
    began: float
    deadline: float
    cancelling: bool = False
    previewing: bool = False

    @property
    def id(self) -> str:
        return self.claim.ticket.id


class _Overdue(EngineDied):
    def __init__(self, job_id: str, seconds: float) -> None:
        super().__init__(f"it did not end within {seconds:g} seconds (JOB_TIMEOUT)")
        self.job_id = job_id


class Worker(threading.Thread):
    def __init__(
        self,
        name: str,
        store: JobStore,
        blobs: FolderBlobs,
        start_engine: Callable[[], Engine],
        *,
        job_timeout: float,
        slot: Slot | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._store = store
        self._blobs = blobs
        self._start_engine = start_engine
        self._job_timeout = job_timeout
        self._slot = slot
        self._runs: dict[str, _Run] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Claim no more; give back what runs. Returns at once: `join` waits for it."""
        self._stopping.set()
        self._store.wake()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._slot is not None and not self._slot.acquire():
                    self._stopping.wait(_RETRY)
                    continue
                try:
                    self._work()
                finally:
                    if self._slot is not None:
                        self._slot.release()
            except Exception:
                # A defect of ours must not leave the queue without a worker.
                log.exception("worker %s failed; starting it again", self.name)
                self._stopping.wait(_RETRY)

    def _work(self) -> None:
        """Keep an engine going until the stop."""
        while not self._stopping.is_set():
            try:
                engine = self._start_engine()
            except EngineDied as death:
                log.error("the engine did not start: %s", death.sentence)
                self._stopping.wait(_RETRY)
                continue
            try:
                self._drive(engine)
            except EngineDied as death:
                self._mourn(death)
            except Exception:
                # A defect of ours counts against the jobs it came with, or they would run for ever.
                log.exception("unexpected failure")
                self._mourn(EngineDied("the worker failed in a way that its log tells"))
            finally:
                engine.close()
                self._give_back()

    def _drive(self, engine: Engine) -> None:
        while not self._stopping.is_set():
            pulse = self._store.pulse()
            try:
                self._fill(engine)
            except StorageUnavailable as error:
                log.warning("no job can be claimed: %s", error.sentence)
                self._stopping.wait(_RETRY)
            idle = not self._runs
            self._enforce(engine)
            # When idle, too: it is how the death of the engine is noticed.
            for job_id, event in engine.step(0 if idle else _LOOK):
                self._relay(self._runs[job_id], event)
            if idle:
                self._store.wait(_NAP, since=pulse)

    # --- a job's way in ---------------------------------------------------------------------------------

    def _fill(self, engine: Engine) -> None:
        """Admit jobs while there is room."""
        while len(self._runs) < engine.capacity and not self._stopping.is_set():
            claim = self._store.claim()
            if claim is None:
                return
            try:
                began = self._begin(claim)
            except BaseException:
                claim.release()
                raise
            if not began:
                claim.release()
                continue
            now = time.monotonic()
            run = self._runs[claim.ticket.id] = _Run(claim, now, now + self._job_timeout)
            try:
                engine.admit(run.id, claim.ticket.generation)
            except EngineDied:
                # It had died before, so this job is not to blame.
                self._requeue(run, "given back")
                raise

    def _begin(self, claim: Claim) -> bool:
        """Mark a claimed job as started; False when it has come to its end instead."""
        job = about(claim.ticket.id)
        if claim.cancel_requested():
            claim.record(Cancelled())
            log.info("cancelled before it started", extra=job)
            return False
        if claim.progress.state is JobState.RUNNING and not self._inherit(claim):
            return False
        claim.record(Started(claim.progress.attempts + 1, self.name))
        log.info("started, attempt %d", claim.progress.attempts, extra=job)
        return True

    def _inherit(self, claim: Claim) -> bool:
        """Take over from a worker that vanished; False when the job needs no more work."""
        job = about(claim.ticket.id)
        picture = claim.progress.picture
        if picture is not None and self._blobs.exists(picture.name):
            claim.record(Finished(picture))
            log.info("finished: its picture was saved before its worker vanished", extra=job)
            return False
        claim.record(Queued("interrupted"))
        if claim.progress.interruptions >= MAX_INTERRUPTIONS:
            sentence = f"The server died {claim.progress.interruptions} times while this job ran"
            claim.record(Failed(Failure("interrupted", sentence)))
            log.error("given up: %s", sentence, extra=job)
            return False
        log.warning("its worker vanished; running it again", extra=job)
        return True

    def _enforce(self, engine: Engine) -> None:
        """Pass on cancels and wishes for previews; end what takes too long."""
        now = time.monotonic()
        for run in self._runs.values():
            if not run.cancelling and run.claim.cancel_requested():
                run.cancelling = True
                engine.cancel(run.id)
            if run.previewing is not (wanted := self._store.previews.wanted(run.id)):
                run.previewing = wanted
                engine.preview(run.id, wanted)
            if now > run.deadline:
                raise _Overdue(run.id, self._job_timeout)

    # --- a job's way out --------------------------------------------------------------------------------

    def _relay(self, run: _Run, event: EngineEvent) -> None:
        match event:
            case Phase() | Step():
                try:
                    run.claim.record(event)
                except StorageUnavailable as error:
                    log.warning("progress not written: %s", error.sentence, extra=about(run.id))
            case Preview():
                self._store.previews.put(run.id, event)
            case Rendered():
                self._finish(run, event)
            case Failed() | Cancelled():
                self._end(run, event)

    def _finish(self, run: _Run, rendered: Rendered) -> None:
        """Keep the picture, then say so.

        Its file is what counts: a worker that dies before it is in place leaves a job to run again, one that
        dies after it leaves a finished job (see `_inherit`).
        """
        ticket, sampled = run.claim.ticket, rendered.sampled
        request = ticket.generation
        picture = Picture(
            name=f"{run.id}.{request.file_type}",
            file_type=request.file_type,
            width=rendered.width,
            height=rendered.height,
            quality=request.quality if request.file_type == "jpg" else None,
            seed=request.seed,
            model=request.model,
            seconds=round(time.monotonic() - run.began, 2),
            memory_before_mb=round(rendered.memory_before_mb, 2),
            memory_after_mb=round(rendered.memory_after_mb, 2),
            sampled=replace(sampled, notices=(*ticket.notices, *sampled.notices)),
        )
        self._insist(run, lambda: run.claim.record(Saving(picture)))
        self._insist(run, lambda: self._blobs.put(picture.name, rendered.content))
        self._end(run, Finished(picture))

    def _end(self, run: _Run, event: Finished | Failed | Cancelled) -> None:
        self._insist(run, lambda: run.claim.record(event))
        self._drop(run)
        job = about(run.id)
        match event:
            case Finished(picture=picture):
                log.info(
                    "finished in %.2f s, %dx%d", picture.seconds, picture.width, picture.height, extra=job
                )
            case Failed(failure=failure):
                log.error("failed: %s", failure.sentence, extra=job)
            case Cancelled():
                log.info("cancelled", extra=job)

    def _mourn(self, death: EngineDied) -> None:
        """The engine is gone: its jobs run again, unless one has seen too many deaths."""
        for run in list(self._runs.values()):
            if isinstance(death, _Overdue) and death.job_id != run.id:
                self._requeue(run, "given back")
            elif run.claim.cancel_requested():
                self._end(run, Cancelled())
            elif run.claim.progress.crashes + 1 >= MAX_CRASHES:
                sentence = (
                    f"The engine died {MAX_CRASHES} times under this job; the last time {death.sentence}"
                )
                if isinstance(death, _Overdue):
                    sentence = f"Given up after {MAX_CRASHES} attempts; the last time {death.sentence}"
                self._end(run, Failed(Failure(death.code, sentence)))
            else:
                log.warning("queued again: %s", death.sentence, extra=about(run.id))
                self._requeue(run, "crashed")
        if not self._stopping.is_set():
            log.warning("starting the engine again: %s", death.sentence)

    def _give_back(self) -> None:
        for run in list(self._runs.values()):
            log.info("given back to the queue", extra=about(run.id))
            self._requeue(run, "given back")

    def _requeue(self, run: _Run, cause: Literal["crashed", "given back"]) -> None:
        self._insist(run, lambda: run.claim.record(Queued(cause)))
        self._drop(run)

    def _drop(self, run: _Run) -> None:
        del self._runs[run.id]
        self._store.previews.drop(run.id)
        run.claim.release()

    def _insist(self, run: _Run, write: Callable[[], object]) -> None:
        """Write what must not be lost, again and again while the storage refuses, until the stop."""
        while True:
            try:
                write()
            except StorageUnavailable as error:
                log.warning("waiting for storage: %s", error.sentence, extra=about(run.id))
                if self._stopping.wait(_RETRY):
                    return
            else:
                return
