"""Writes that must not be lost, tried again and again while the storage refuses them.

What comes of a job is kept for a client who wants it: who cancels meanwhile ends the waiting. A training's
LoRA is not waited for in a place that no worker may write to, nor for longer than its training may take.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from diffusionapi.core.events import Cancelled, Failed, Failure
from diffusionapi.errors import StorageRefused, StorageUnavailable
from diffusionapi.logs import about

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from diffusionapi.worker.outage import Outage
    from diffusionapi.worker.run import Run

log = logging.getLogger(__name__)


class Abandoned(Exception):
    """What came of a job will not be kept; `event` is the job's end."""

    def __init__(self, event: Cancelled | Failed) -> None:
        super().__init__(event.kind)
        self.event = event


class Insisting:
    """One worker's. The time that it takes does not count for the jobs in the engine, which nobody hears."""

    def __init__(self, pause: float, stopping: threading.Event, outage: Outage, runs: dict[str, Run]) -> None:
        self._pause = pause
        self._stopping = stopping
        self._outage = outage
        self._runs = runs

    def write(self, run: Run, write: Callable[[], object]) -> bool:
        """False if the stop came before it was written."""
        return self._insist(run, write, wanted=lambda _: None)

    def keep(self, run: Run, write: Callable[[], object]) -> bool:
        """The same of what came of the job; Abandoned when that is not to be waited for any longer."""
        return self._insist(run, write, wanted=lambda error: _end(run, error))

    def _insist(
        self,
        run: Run,
        write: Callable[[], object],
        wanted: Callable[[StorageUnavailable], Cancelled | Failed | None],
    ) -> bool:
        said = ""
        while True:
            try:
                write()
            except StorageUnavailable as error:
                if end := wanted(error):
                    raise Abandoned(end) from error
                if error.sentence != said:
                    said = error.sentence
                    log.warning("waiting for storage: %s", said, extra=about(run.id))
                if self._stopping.wait(self._pause):
                    return False
                # What is another's by now is not to be written at all.
                with self._outage.noted("still waiting", run.id):
                    run.unwanted = run.claim.cancel_requested()
                for one in self._runs.values():
                    one.pause(time.monotonic(), counts=one is run)
            else:
                return True


def _end(run: Run, error: StorageUnavailable) -> Cancelled | Failed | None:
    if run.unwanted:
        return Cancelled()
    if run.training is None:
        return None
    if isinstance(error, StorageRefused):
        return Failed(Failure(error.code, error.sentence))
    if run.over:
        return Failed(Failure(error.code, f"Its LoRA found no place within {run.limit}: {error.sentence}"))
    return None
