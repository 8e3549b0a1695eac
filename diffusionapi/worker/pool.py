"""The workers of one process, started and stopped together."""

from __future__ import annotations

import os
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from diffusionapi.blobs.trainings import Trainings
from diffusionapi.engine.build import BUILD, devices
from diffusionapi.engine.process import ProcessEngine
from diffusionapi.jobs.slot import Slot
from diffusionapi.worker.run import Rules
from diffusionapi.worker.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.blobs.folder import FolderBlobs
    from diffusionapi.jobs.store import JobStore
    from diffusionapi.settings import Settings

_GRACE = 4.0
"""Seconds all workers together have for giving their jobs back; a server should be gone within five."""


class WorkerPool:
    """`slots` is the folder in which the processes of one server agree who works; None: this one does."""

    def __init__(
        self, settings: Settings, store: JobStore, blobs: FolderBlobs, *, slots: Path | None
    ) -> None:
        places = devices(settings)
        count = len(places) if settings.workers is None else settings.workers
        rules = Rules(settings.job_timeout, settings.training_timeout, settings.training_yields)
        trainings = Trainings(settings)
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
                slot=None if slots is None else Slot(slots / f"worker-{number}.lock"),
            )
            for number in range(count)
        ]

    def start(self) -> None:
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

    @property
    def alive(self) -> bool:
        return all(worker.is_alive() for worker in self._workers)
