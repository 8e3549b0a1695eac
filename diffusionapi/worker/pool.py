"""The workers of one process, started and stopped together."""

from __future__ import annotations

import logging
import os
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from diffusionapi.blobs.spool import Spool
from diffusionapi.blobs.trainings import Trainings
from diffusionapi.engine.build import BUILD, devices
from diffusionapi.engine.process import ProcessEngine
from diffusionapi.errors import StorageUnavailable, UnknownJob
from diffusionapi.jobs.slot import Slot
from diffusionapi.worker.figures import Figures
from diffusionapi.worker.run import Rules
from diffusionapi.worker.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.blobs.store import Blobs
    from diffusionapi.jobs.store import JobStore
    from diffusionapi.settings import Settings

log = logging.getLogger(__name__)

_GRACE = 4.0
"""Seconds all workers together have for giving their jobs back; a server should be gone within five."""


class WorkerPool:
    """`slots` is the folder in which the processes of one server agree who works; None: this one does."""

    def __init__(self, settings: Settings, store: JobStore, blobs: Blobs, *, slots: Path | None) -> None:
        places = devices(settings)
        count = len(places) if settings.workers is None else settings.workers
        rules = Rules(
            settings.job_timeout, settings.training_timeout, settings.training_yields, settings.affinity
        )
        trainings = Trainings(settings)
        self._store = store
        self._spool = Spool(settings.path(settings.spool_dir))
        self.figures = Figures()
        self._workers = [
            Worker(
                f"{socket.gethostname()}-{os.getpid()}-{number}",
                store,
                blobs,
                trainings,
                partial(
                    ProcessEngine, BUILD, settings.model_copy(update={"device": places[number % len(places)]})
                ),
                rules,
                spool=self._spool,
                slot=None if slots is None else Slot(slots / f"worker-{number}.lock"),
                figures=self.figures,
            )
            for number in range(count)
        ]

    def start(self) -> None:
        if self._workers:
            self._tidy()
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Ask all to stop; returns at once."""
        for worker in self._workers:
            worker.stop()

    def join(self) -> None:
        deadline = time.monotonic() + _GRACE
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, deadline - time.monotonic()))

    def _tidy(self) -> None:
        """Pictures that earlier workers could not deliver are for jobs that have not ended."""
        try:
            self._spool.sweep(self._lives)
        except StorageUnavailable as error:
            log.warning("the spool is not tidied: %s", error.sentence)

    def _lives(self, job_id: str) -> bool:
        try:
            return not self._store.progress(job_id).state.ended
        except UnknownJob:
            return False

    @property
    def count(self) -> int:
        return len(self._workers)

    @property
    def alive(self) -> bool:
        return all(worker.is_alive() for worker in self._workers)

    @property
    def problem(self) -> str:
        """What keeps a worker from running, or every engine from living; empty when nothing does."""
        if not self.alive:
            return "a worker is not running"
        problems = [worker.problem for worker in self._workers]
        return problems[0] if problems and all(problems) else ""
