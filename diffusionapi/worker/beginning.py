"""What is to be done with a job that was just claimed: begin it, or end it because nothing is left to do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from diffusionapi.core.events import Cancelled, Failed, Failure, Finished, Queued, Saving, Started
from diffusionapi.core.job import JobState
from diffusionapi.logs import about

if TYPE_CHECKING:
    from diffusionapi.blobs.spool import Spool, Spooled
    from diffusionapi.blobs.store import Blobs
    from diffusionapi.jobs.store import Claim
    from diffusionapi.worker.figures import Figures

log = logging.getLogger(__name__)

MAX_INTERRUPTIONS = 10
"""Vanished workers under one job before it is held to be the cause."""


class Beginner:
    def __init__(self, worker: str, blobs: Blobs, spool: Spool, figures: Figures) -> None:
        self._worker = worker
        self._blobs = blobs
        self._spool = spool
        self._figures = figures

    def begin(self, claim: Claim) -> bool:
        """Mark a claimed job as started; False when it has come to its end instead."""
        job = about(claim.ticket.id)
        if claim.cancel_requested():
            claim.record(Cancelled())
            log.info("cancelled before it started", extra=job)
            return False
        if spooled := self._spool.find(claim.ticket.id):
            self._deliver(claim, spooled)
            return False
        if claim.progress.state is JobState.RUNNING and not self._inherit(claim):
            return False
        claim.record(Started(claim.progress.attempts + 1, self._worker))
        log.info("started, attempt %d", claim.progress.attempts, extra=job)
        return True

    def _deliver(self, claim: Claim, spooled: Spooled) -> None:
        """A worker of this machine rendered it and ended before the storage took the picture."""
        if claim.progress.state is not JobState.RUNNING:
            claim.record(Started(claim.progress.attempts + 1, self._worker))
        claim.record(Saving(spooled.picture))
        self._blobs.put(spooled.picture.name, spooled.content)
        claim.record(Finished(spooled.picture))
        self._spool.drop(claim.ticket.id)
        log.info("finished: its picture was kept on this machine", extra=about(claim.ticket.id))

    def _inherit(self, claim: Claim) -> bool:
        """Take over from a worker that vanished; False when the job needs no more work."""
        job = about(claim.ticket.id)
        picture = claim.progress.picture
        if picture is not None and self._blobs.exists(picture.name):
            claim.record(Finished(picture))
            log.info("finished: its picture was saved before its worker vanished", extra=job)
            return False
        claim.record(Queued("interrupted"))
        self._figures.again("interrupted")
        if claim.progress.interruptions >= MAX_INTERRUPTIONS:
            sentence = f"The server died {claim.progress.interruptions} times while this job ran"
            claim.record(Failed(Failure("interrupted", sentence)))
            log.error("given up: %s", sentence, extra=job)
            return False
        log.warning("its worker vanished; running it again", extra=job)
        return True
