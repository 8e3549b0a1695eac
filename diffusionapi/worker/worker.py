"""One engine and the thread that feeds it: from the claim of a job to its last event.

The engine may die or hang; the thread stays. A job whose engine died is queued again at its old place, and
ends in an error when that has happened too often. A stop gives running jobs back as if never begun.

A training has the engine to itself, once the pictures before it are done, and those behind it wait; unless
the rules let pictures go before it all the time.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Literal

from diffusionapi.core.events import (
    Cancelled,
    Failed,
    Failure,
    Finished,
    Learned,
    Phase,
    Preview,
    Queued,
    Saving,
    Started,
    Step,
)
from diffusionapi.core.job import JobState
from diffusionapi.core.work import TrainingRequest
from diffusionapi.engine.engine import Rendered, Taught
from diffusionapi.errors import EngineDied, StorageUnavailable
from diffusionapi.logs import about
from diffusionapi.worker import results
from diffusionapi.worker.run import Overdue, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.blobs.folder import FolderBlobs
    from diffusionapi.blobs.trainings import Trainings
    from diffusionapi.core.job import Ticket
    from diffusionapi.engine.engine import Engine, EngineEvent
    from diffusionapi.jobs.slot import Slot
    from diffusionapi.jobs.store import Claim, JobStore
    from diffusionapi.worker.run import Rules

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


class Worker(threading.Thread):
    def __init__(
        self,
        name: str,
        store: JobStore,
        blobs: FolderBlobs,
        trainings: Trainings,
        start_engine: Callable[[], Engine],
        rules: Rules,
        *,
        slot: Slot | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._store = store
        self._blobs = blobs
        self._trainings = trainings
        self._start_engine = start_engine
        self._rules = rules
        self._slot = slot
        self._runs: dict[str, Run] = {}
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
            # It is closed before its jobs are let go: others may go on with their files at once.
            try:
                self._drive(engine)
            except EngineDied as death:
                engine.close()
                self._mourn(death)
            except Exception:
                # A defect of ours counts against the jobs it came with, or they would run for ever.
                log.exception("unexpected failure")
                engine.close()
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
        while self._has_room(engine) and not self._stopping.is_set():
            claim = self._store.claim(_paints if self._trains() else None)
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
            run = self._runs[claim.ticket.id] = Run(claim, self._rules, time.monotonic())
            try:
                engine.admit(run.id, claim.ticket.request)
            except EngineDied:
                # It had died before, so this job is not to blame.
                self._requeue(run, "given back")
                raise

    def _trains(self) -> bool:
        return any(run.training for run in self._runs.values())

    def _waiting(self) -> set[str]:
        """The trainings, while there are pictures in the engine."""
        trainings = {run.id for run in self._runs.values() if run.training}
        return trainings if len(trainings) < len(self._runs) else set()

    def _has_room(self, engine: Engine) -> bool:
        if self._trains() and not self._rules.training_yields:
            return False
        return sum(run.training is None for run in self._runs.values()) < engine.capacity

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
        now, waiting = time.monotonic(), self._waiting()
        for run in self._runs.values():
            if not run.cancelling and run.claim.cancel_requested():
                run.cancelling = True
                engine.cancel(run.id)
            if run.previewing is not (wanted := self._store.previews.wanted(run.id)):
                run.previewing = wanted
                engine.preview(run.id, wanted)
            run.check(now, waits=run.id in waiting)

    # --- a job's way out --------------------------------------------------------------------------------

    def _relay(self, run: Run, event: EngineEvent) -> None:
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
            case Taught():
                self._keep(run, event)
            case Failed() | Cancelled():
                self._end(run, event)

    def _finish(self, run: Run, rendered: Rendered) -> None:
        """Keep the picture, then say so.

        Its file is what counts: a worker that dies before it is in place leaves a job to run again, one that
        dies after it leaves a finished job (see `_inherit`).
        """
        picture = results.picture(run.claim.ticket, rendered, time.monotonic() - run.began)
        self._insist(run, lambda: run.claim.record(Saving(picture)))
        if self._insist(run, lambda: self._blobs.put(picture.name, rendered.content)):
            self._end(run, Finished(picture))

    def _keep(self, run: Run, taught: Taught) -> None:
        """Give the LoRA its place, then say so. A worker that dies between leaves a job that is trained again
        from its last step on, so that the same file comes to the same place."""
        request = run.training
        assert request is not None
        trained = results.trained(request, taught, time.monotonic() - run.began)
        if self._insist(run, lambda: self._trainings.put(request.name, taught.content)):
            self._end(run, Learned(trained))

    def _end(self, run: Run, event: Finished | Learned | Failed | Cancelled) -> None:
        self._insist(run, lambda: run.claim.record(event))
        self._drop(run)
        if run.training:
            self._clear(run, run.training.name)
        job = about(run.id)
        match event:
            case Finished(picture=picture):
                log.info(
                    "finished in %.2f s, %dx%d", picture.seconds, picture.width, picture.height, extra=job
                )
            case Learned(trained=trained):
                log.info("learned in %.2f s, %d steps", trained.seconds, trained.steps, extra=job)
            case Failed(failure=failure):
                log.error("failed: %s", failure.sentence, extra=job)
            case Cancelled():
                log.info("cancelled", extra=job)

    def _clear(self, run: Run, name: str) -> None:
        try:
            self._trainings.clear(name)
        except StorageUnavailable as error:
            log.warning("what the training needed stays for now: %s", error.sentence, extra=about(run.id))

    def _mourn(self, death: EngineDied) -> None:
        """The engine is gone: its jobs run again, unless one has seen too many deaths. Those that it only had
        in waiting are not to blame."""
        waiting = self._waiting()
        for run in list(self._runs.values()):
            if run.id in waiting or (isinstance(death, Overdue) and death.job_id != run.id):
                self._requeue(run, "given back")
            elif run.claim.cancel_requested():
                self._end(run, Cancelled())
            elif run.claim.progress.crashes + 1 >= MAX_CRASHES:
                sentence = (
                    f"The engine died {MAX_CRASHES} times under this job; the last time {death.sentence}"
                )
                if isinstance(death, Overdue):
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

    def _requeue(self, run: Run, cause: Literal["crashed", "given back"]) -> None:
        self._insist(run, lambda: run.claim.record(Queued(cause)))
        self._drop(run)

    def _drop(self, run: Run) -> None:
        del self._runs[run.id]
        self._store.previews.drop(run.id)
        run.claim.release()

    def _insist(self, run: Run, write: Callable[[], object]) -> bool:
        """Write what must not be lost, again and again while the storage refuses; False if the stop came."""
        while True:
            try:
                write()
            except StorageUnavailable as error:
                log.warning("waiting for storage: %s", error.sentence, extra=about(run.id))
                if self._stopping.wait(_RETRY):
                    return False
            else:
                return True


def _paints(ticket: Ticket) -> bool:
    return not isinstance(ticket.request, TrainingRequest)
