"""`python -m diffusionapi.worker`: workers in a process of their own, beside any number of servers."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading

from diffusionapi import logs, start
from diffusionapi.api.outgoing import outgoing
from diffusionapi.auth.clients import Clients
from diffusionapi.blobs.folder import FolderBlobs
from diffusionapi.errors import Misconfigured, StorageUnavailable
from diffusionapi.jobs.open import open_store
from diffusionapi.webhooks.courier import Courier
from diffusionapi.worker.pool import WorkerPool

log = logging.getLogger("diffusionapi.worker")


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m diffusionapi.worker",
        description="Work on the jobs of JOB_STORE until the process is told to stop. Settings come from the "
        "environment and .env; `.venv/bin/python -m diffusionapi.settings` prints them. WORKERS=0 is for "
        "servers: here it is as good as empty.",
    ).parse_args()
    try:
        settings = start.load()
        if settings.job_store == "memory:":
            raise Misconfigured(
                "Setting JOB_STORE: 'memory:' cannot be shared with a worker; use 'file:queue'"
            )
        if settings.workers == 0:
            # A server and its workers share a .env, in which 0 says that the server itself has none.
            settings = settings.model_copy(update={"workers": None})
        logs.configure(settings.log_level, settings.log_format)
        for doubt in start.doubts(settings):
            log.warning(doubt)
        store = open_store(settings)
        blobs = FolderBlobs(settings.path(settings.outputs_dir))
        pool = WorkerPool(settings, store, blobs, slots=None)
        clients = Clients(settings)
        courier = Courier(settings, store, blobs, outgoing(clients, store))
    except (Misconfigured, StorageUnavailable) as error:
        sys.exit(error.sentence)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    pool.start()
    courier.start()
    log.info(
        "%s-%d works on %s with the engine %r",
        socket.gethostname(),
        os.getpid(),
        settings.job_store,
        settings.engine,
    )
    stop.wait()
    pool.stop()
    courier.stop()
    pool.join()
    courier.join()
    clients.close()
    store.close()


if __name__ == "__main__":
    main()
