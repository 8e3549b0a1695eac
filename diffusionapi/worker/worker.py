"""One engine and the thread that feeds it: from the claim of a job to its last event.

The engine may die or hang; the thread stays. A job whose engine died is queued again at its old place, and
ends in an error when that has happened too often. A stop gives running jobs back as if never begun. A job
that another worker has taken, because this one was thought dead, is dropped without a word.

A training has the engine to itself, once the pictures before it are done, and those behind it wait; unless
the rules let pictures go before it all the time.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Literal

from diffusionapi.core.events import (
    Cancelled,
    Failed,
    Finished,
    Learned,
    Phase,
    Preview,
    Queued,
    Saving,
    Step,
)
from diffusionapi.core.lane import lane_of
from diffusionapi.engine.engine import ENDS, Rendered, Taught
from diffusionapi.errors import EngineDied, HoldLost, StorageUnavailable
from diffusionapi.logs import about
from diffusionapi.worker import results
from diffusionapi.worker.beginning import Beginner
from diffusionapi.worker.figures import Figures
from diffusionapi.worker.holding import Holding
from diffusionapi.worker.insisting import Abandoned, Insisting
from diffusionapi.worker.outage import Outage
from diffusionapi.worker.run import Overdue, Run
from diffusionapi.worker.sparing import Sparing
from diffusionapi.worker.starting import Starts

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from diffusionapi.blobs.spool import Spool
    from diffusionapi.blobs.store import Blobs
    from diffusionapi.blobs.trainings import Trainings
    from diffusionapi.core.lane import Lane
    from diffusionapi.engine.engine import Engine, EngineEvent
    from diffusionapi.jobs.slot import Slot
    from diffusionapi.jobs.store import Claim, JobStore
    from diffusionapi.worker.run import Rules

log = logging.getLogger(__name__)

MAX_CRASHES = 3
"""Engine deaths and time-outs under one job before it ends in an error."""
_LOOK = 0.05
"""Seconds between looks for cancels, time limits and new jobs while the engine is busy."""
_NAP = 0.5
"""Seconds an idle worker sleeps at most; a new job wakes it at once."""
_RETRY = 1.0
"""Seconds before storage that failed is tried again, and an engine that did not start the first time."""


class Worker(threading.Thread):
    def __init__(
        self,
        name: str,
        store: JobStore,
        blobs: Blobs,
        trainings: Trainings,
        start_engine: Callable[[], Engine],
        rules: Rules,
        *,
        spool: Spool,
        slot: Slot | None = None,
        figures: Figures | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._store = store
        self._blobs = blobs
        self._trainings = trainings
        self._start_engine = start_engine
        self._rules = rules
        self._slot = slot
        self._figures = figures or Figures()
        self._spool = spool
        self._beginner = Beginner(name, blobs, spool, self._figures)
        self._holding = Holding(name, rules.stay)
        self._outage = Outage(_RETRY)
        self._runs: dict[str, Run] = {}
        self._stopping = threading.Event()
        self._starts = Starts(name, _RETRY)
        self._insist = Insisting(_RETRY, self._stopping, self._outage, self._runs)

    @property
    def problem(self) -> str:
        """What keeps its engine from living; empty when nothing is known."""
        return self._starts.problem

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
                self._stopping.wait(self._starts.failed(death.sentence))
                continue
            self._starts.began()
            self._holding.nothing()
            pause = 0.0
            # It is closed before its jobs are let go: others may go on with their files at once.
            try:
                self._drive(engine)
            except EngineDied as death:
                engine.close()
                if not self._runs and not self._starts.lived:
                    pause = self._starts.failed(death.sentence)
                self._mourn(death)
            except Exception:
                # A defect of ours counts against the jobs it came with, or they would run for ever.
                log.exception("unexpected failure")
                engine.close()
                self._mourn(EngineDied("the worker failed in a way that its log tells"))
            finally:
                engine.close()
                self._give_back()
            self._stopping.wait(pause)

    def _drive(self, engine: Engine) -> None:
        while not self._stopping.is_set():
            pulse: Hashable = None
            if not self._outage.on:
                with self._outage.noted("no job can be claimed"):
                    pulse = self._store.pulse()
                    self._fill(engine)
            idle = not self._runs
            self._starts.lives(works=not idle)
            self._enforce(engine)
            # When idle, too: it is how the death of the engine is noticed.
            for job_id, event in engine.step(0 if idle else _LOOK):
                self._hear(self._runs[job_id], event)
            if idle:
                self._rest(pulse)

    def _rest(self, pulse: Hashable) -> None:
        if self._outage.on:
            self._stopping.wait(_RETRY)
            return
        with self._outage.noted("new jobs are not seen at once"):
            self._store.wait(_NAP, since=pulse)

    # --- a job's way in ---------------------------------------------------------------------------------

    def _fill(self, engine: Engine) -> None:
        """Admit jobs while there is room."""
        while self._has_room(engine) and not self._stopping.is_set():
            wanted = _paints if self._trains() else None
            claim = self._store.claim(wanted, preference=self._holding.preference())
            if claim is None:
                return
            try:
                began = self._beginner.begin(claim)
            except HoldLost as loss:
                log.warning("not begun: %s", loss.sentence, extra=about(claim.ticket.id))
                continue
            except BaseException:
                self._let_go(claim)
                raise
            if not began:
                self._let_go(claim)
                continue
            run = self._runs[claim.ticket.id] = Run(claim, self._rules, time.monotonic())
            self._figures.started(loads=self._holding.took(lane_of(claim.ticket)))
            try:
                engine.admit(run.id, claim.ticket.request)
            except EngineDied:
                # It had died before, so this job is not to blame.
                self._part(run, partial(self._requeue, run, "given back"))
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
        if any(run.lost for run in self._runs.values()):
            # It may come back to us while the engine still has it.
            return False
        return sum(run.training is None for run in self._runs.values()) < engine.capacity

    def _enforce(self, engine: Engine) -> None:
        """Pass on cancels and wishes for previews; end what takes too long, or is another's."""
        now, waiting = time.monotonic(), self._waiting()
        for run in self._runs.values():
            if not run.lost and not self._outage.on:
                try:
                    with self._outage.noted("cancels are not seen", run.id):
                        self._look(run, engine)
                except HoldLost as loss:
                    self._lose(run, loss)
            if run.lost and not run.cancelling:
                run.cancelling = True
                engine.cancel(run.id)
            run.check(now, waits=run.id in waiting)

    def _look(self, run: Run, engine: Engine) -> None:
        """Asked of a job that is being cancelled, too: it may be lost."""
        if run.claim.cancel_requested() and not run.cancelling:
            run.cancelling = True
            engine.cancel(run.id)
        if run.previewing is not (wanted := self._store.previews.wanted(run.id)):
            run.previewing = wanted
            engine.preview(run.id, wanted)

    # --- a job's way out --------------------------------------------------------------------------------

    def _hear(self, run: Run, event: EngineEvent) -> None:
        if not run.lost:
            try:
                try:
                    self._relay(run, event)
                except Abandoned as given_up:
                    self._end(run, given_up.event)
            except HoldLost as loss:
                self._lose(run, loss)
        if run.lost and isinstance(event, ENDS):
            del self._runs[run.id]

    def _relay(self, run: Run, event: EngineEvent) -> None:
        match event:
            case Phase() | Step():
                self._time(run, event)
                with self._outage.noted("progress not written", run.id):
                    run.claim.note(event, write=not self._outage.on)
            case Preview():
                if not self._outage.on:
                    with self._outage.noted("preview not shown", run.id):
                        self._store.previews.put(run.id, event)
            case Rendered():
                self._finish(run, event)
            case Taught():
                self._keep(run, event)
            case Failed() | Cancelled():
                self._end(run, event)

    def _time(self, run: Run, event: Phase | Step) -> None:
        seconds = run.stepped(time.monotonic(), begins=isinstance(event, Phase))
        if seconds is not None:
            self._figures.stepped(seconds)

    def _finish(self, run: Run, rendered: Rendered) -> None:
        """Keep the picture, then say so.

        Its file is what counts: a worker that dies before it is in place leaves a job to run again, one that
        dies after it leaves a finished job (see beginning.py).
        """
        picture = results.picture(run.claim.ticket, rendered, time.monotonic() - run.began)
        with Sparing(self._spool, run.id, picture, rendered.content) as spared:
            told = self._insist.write(run, spared(lambda: run.claim.record(Saving(picture))))
            if self._insist.keep(run, spared(lambda: self._blobs.put(picture.name, rendered.content))):
                self._end(run, Finished(picture))
                if told:
                    spared.over()

    def _keep(self, run: Run, taught: Taught) -> None:
        """Give the LoRA its place, then say so. A worker that dies between leaves a job that is trained again
        from its last step on, so that the same file comes to the same place."""
        request = run.training
        assert request is not None
        trained = results.trained(request, taught, time.monotonic() - run.began)
        if self._insist.keep(run, lambda: self._trainings.put(request.name, taught.content)):
            self._end(run, Learned(trained))

    def _end(self, run: Run, event: Finished | Learned | Failed | Cancelled) -> None:
        if not self._insist.write(run, lambda: run.claim.record(event)):
            self._drop(run)
            return
        self._drop(run)
        if run.training:
            self._clear(run, run.training.name)
        job = about(run.id)
        match event:
            case Finished(picture=picture):
                self._figures.ended("done")
                log.info(
                    "finished in %.2f s, %dx%d", picture.seconds, picture.width, picture.height, extra=job
                )
            case Learned(trained=trained):
                self._figures.ended("done")
                log.info("learned in %.2f s, %d steps", trained.seconds, trained.steps, extra=job)
            case Failed(failure=failure):
                self._figures.ended("failed")
                log.error("failed: %s", failure.sentence, extra=job)
            case Cancelled():
                self._figures.ended("cancelled")
                log.info("cancelled", extra=job)

    def _clear(self, run: Run, name: str) -> None:
        try:
            self._trainings.clear(name)
        except StorageUnavailable as error:
            log.warning("what the training needed stays for now: %s", error.sentence, extra=about(run.id))

    # --- a job's way out without an end -------------------------------------------------------------------

    def _mourn(self, death: EngineDied) -> None:
        """The engine is gone: its jobs run again, unless one has seen too many deaths. Those that it only had
        in waiting are not to blame."""
        waiting = self._waiting()
        for run in list(self._runs.values()):
            innocent = run.id in waiting or (isinstance(death, Overdue) and death.job_id != run.id)
            self._part(run, partial(self._judge, run, death, innocent=innocent))
        if not self._stopping.is_set():
            log.warning("starting the engine again: %s", death.sentence)

    def _judge(self, run: Run, death: EngineDied, *, innocent: bool) -> None:
        cancelled = False
        with self._outage.noted("a cancel may not be seen", run.id):
            cancelled = run.claim.cancel_requested()
        if innocent:
            self._requeue(run, "given back")
        elif cancelled:
            self._end(run, Cancelled())
        elif run.claim.progress.crashes + 1 >= MAX_CRASHES:
            self._end(run, Failed(results.given_up(death, MAX_CRASHES)))
        else:
            log.warning("queued again: %s", death.sentence, extra=about(run.id))
            self._requeue(run, "crashed")

    def _give_back(self) -> None:
        for run in list(self._runs.values()):
            log.info("given back to the queue", extra=about(run.id))
            self._part(run, partial(self._requeue, run, "given back"))

    def _requeue(self, run: Run, cause: Literal["crashed", "given back"]) -> None:
        if self._insist.write(run, lambda: run.claim.record(Queued(cause))):
            self._figures.again(cause)
        self._drop(run)

    def _part(self, run: Run, settle: Callable[[], None]) -> None:
        """Part with a job that the engine has no more."""
        if not run.lost:
            try:
                settle()
            except HoldLost as loss:
                self._lose(run, loss)
        self._runs.pop(run.id, None)

    def _lose(self, run: Run, loss: HoldLost) -> None:
        """The job is another's now: no event, and nothing to let go of."""
        run.lost = True
        self._figures.again("lost")
        log.warning("dropped: %s", loss.sentence, extra=about(run.id))

    def _drop(self, run: Run) -> None:
        del self._runs[run.id]
        with self._outage.noted("its preview stays for now", run.id):
            self._store.previews.drop(run.id)
        self._let_go(run.claim)

    def _let_go(self, claim: Claim) -> None:
        with suppress(HoldLost), self._outage.noted("its hold ends by itself", claim.ticket.id):
            claim.release()


def _paints(lane: Lane) -> bool:
    return lane.kind != "training"
