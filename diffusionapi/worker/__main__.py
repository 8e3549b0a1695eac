"""`python -m diffusionapi.worker`: workers in a process of their own, beside any number of servers."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from diffusionapi import logs
from diffusionapi.blobs.folder import FolderBlobs
from diffusionapi.engine.build import with_engine
from diffusionapi.errors import Misconfigured, StorageUnavailable
from diffusionapi.jobs.open import open_store
from diffusionapi.settings import Settings
from diffusionapi.worker.pool import WorkerPool


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m diffusionapi.worker",
        description="Work on the jobs of JOB_STORE until the process is told to stop. Settings come from the "
        "environment and .env; `python -m diffusionapi.settings` prints them.",
    ).parse_args()
    try:
        settings = with_engine(Settings.load())
        if settings.job_store == "memory:":
            raise Misconfigured(
                "Setting JOB_STORE: 'memory:' cannot be shared with a worker; use 'file:queue'"
            )
        logs.configure(settings.log_level, settings.log_format)
        store = open_store(settings)
        pool = WorkerPool(settings, store, FolderBlobs(settings.path(settings.outputs_dir)), slots=None)
    except (Misconfigured, StorageUnavailable) as error:
        sys.exit(error.sentence)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    pool.start()
    stop.wait()
    pool.stop()
    pool.join()
    store.close()


if __name__ == "__main__":
    main()
