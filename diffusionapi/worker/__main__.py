"""`python -m diffusionapi.worker`: workers in a process of their own, beside any number of servers."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

from diffusionapi import logs, places, start
from diffusionapi.api.outgoing import outgoing
from diffusionapi.auth.clients import Clients
from diffusionapi.blobs.open import open_blobs
from diffusionapi.errors import Misconfigured, StorageUnavailable
from diffusionapi.jobs.open import open_store
from diffusionapi.webhooks.courier import Courier
from diffusionapi.worker.exporter import Exporter
from diffusionapi.worker.pool import WorkerPool

if TYPE_CHECKING:
    from diffusionapi.settings import Settings

log = logging.getLogger("diffusionapi.worker")


def main() -> None:
    options = _parser().parse_args()
    try:
        settings = _settings(options)
        logs.configure(settings.log_level, settings.log_format)
        for doubt in start.doubts(settings):
            log.warning(doubt)
        store = open_store(settings)
        blobs = open_blobs(settings)
        pool = WorkerPool(settings, store, blobs, slots=None)
        exporter = None if options.metrics is None else Exporter(options.metrics, pool, store)
        clients = Clients(settings)
        courier = Courier(settings, store, blobs, outgoing(clients, store)) if _tells(settings) else None
    except (Misconfigured, StorageUnavailable) as error:
        sys.exit(error.sentence)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    helpers = [one for one in (courier, exporter) if one is not None]
    for one in (pool, *helpers):
        one.start()
    log.info(
        "%s-%d works on %s with the engine %r, %d at once",
        socket.gethostname(),
        os.getpid(),
        places.shown(settings.job_store),
        settings.engine,
        pool.count,
    )
    stop.wait()
    for one in (pool, *helpers):
        one.stop()
    pool.join()
    if courier is not None:
        courier.join()
    clients.close()
    store.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m diffusionapi.worker",
        description="Work on the jobs of JOB_STORE until the process is told to stop. Settings come from the "
        "environment and .env; `.venv/bin/python -m diffusionapi.settings` prints them. WORKERS=0 is for "
        "servers: here it is as good as empty.",
    )
    parser.add_argument("--device", help="as DEVICE: auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--count", type=_count, help="as WORKERS: how many engines")
    parser.add_argument(
        "--metrics", type=int, metavar="PORT", help="serve /metrics, /livez and /readyz there"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def _settings(options: argparse.Namespace) -> Settings:
    """Those in force, but for what the command line says."""
    given = {"device": options.device, "workers": options.count}
    settings = start.load(**{name: value for name, value in given.items() if value is not None})
    if settings.job_store == "memory:":
        raise Misconfigured("Setting JOB_STORE: 'memory:' cannot be shared with a worker; use 'file:queue'")
    if settings.workers == 0:
        # A server and its workers share a .env, in which 0 says that the server itself has none.
        settings = settings.model_copy(update={"workers": None})
    return settings


def _tells(settings: Settings) -> bool:
    """Whether webhooks are sent from here, too. Of many machines the servers see to them."""
    return settings.redis_url is None


if __name__ == "__main__":
    main()
