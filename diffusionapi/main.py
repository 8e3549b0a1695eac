"""Where the parts are put together: `create_app(settings)`, and the `app` that uvicorn is pointed at."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI  # noqa: TC002 - FastAPI reads annotations at run time
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time

from diffusionapi import __version__, files, logs, start
from diffusionapi.api import capabilities, health, metrics
from diffusionapi.api.backlog import routes as backlog
from diffusionapi.api.backlog.state import BacklogState
from diffusionapi.api.backlog.translate import DIALECT as BACKLOG
from diffusionapi.api.dialect import as_error, of_path
from diffusionapi.api.heads import Heads
from diffusionapi.api.outgoing import outgoing
from diffusionapi.api.primary import routes as primary
from diffusionapi.api.primary.face import face
from diffusionapi.api.primary.translate import DIALECT as PRIMARY
from diffusionapi.api.stream import socket as stream
from diffusionapi.api.stream.translate import DIALECT as STREAM
from diffusionapi.api.tasks import routes as tasks
from diffusionapi.api.tasks.events import DIALECT as TASKS
from diffusionapi.api.tasks.state import TaskState
from diffusionapi.api.v3 import routes as v3
from diffusionapi.api.v3.face import face as v3_face
from diffusionapi.api.v3.state import DIALECT as V3
from diffusionapi.api.v3.state import V3State
from diffusionapi.auth.accounts import Accounts
from diffusionapi.auth.clients import Clients
from diffusionapi.auth.keys import Keys
from diffusionapi.blobs.open import open_blobs, open_uploads
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.engine.build import with_engine
from diffusionapi.errors import Error, Misconfigured
from diffusionapi.intake.intake import Intake
from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.open import open_store
from diffusionapi.keys import first
from diffusionapi.records.open import Archive
from diffusionapi.service import Service
from diffusionapi.webhooks.courier import Courier
from diffusionapi.worker.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from starlette.responses import Response

    from diffusionapi.jobs.store import JobStore
    from diffusionapi.settings import Settings

log = logging.getLogger(__name__)

_DESCRIPTION = """
A self-hosted Stable Diffusion server. Post a request to `/txt2img`, then poll `/queue/{job_id}`
or listen to `/queue/{job_id}/events`.
"""
_AGAIN = 2.0
"""Seconds until it is asked once more whether there are keys."""


def create_app(settings: Settings) -> FastAPI:
    """A server. Nothing is opened, made or started before its lifespan begins."""
    settings = with_engine(settings)
    app = FastAPIOffline(
        title="diffusionapi",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=_lifespan(settings),
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(
        CORSMiddleware,
        allow_origin_regex=".*",
        allow_credentials=True,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["X-Safety-Checked", "Retry-After"],
    )
    app.add_middleware(Heads)
    app.include_router(primary.router)
    app.include_router(tasks.router)
    app.include_router(stream.router)
    app.include_router(backlog.router)
    app.include_router(v3.router)
    app.include_router(capabilities.router)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.add_exception_handler(HTTPException, _outside_any_dialect)

    @app.get("/", include_in_schema=False)
    async def root(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")

    app.include_router(stream.elsewhere)  # after all others: it answers every socket that nobody else does
    return app


async def _outside_any_dialect(request: Request, error: Exception) -> Response:
    """Unknown methods get the face of their path's dialect; unknown paths, which have none, that of whoever
    has all paths around them, or the primary's."""
    of_dialect, methods = of_path(request)
    around = v3_face if f"/{request.scope['path'].strip('/')}/".startswith(v3.PREFIXES) else face
    response = (of_dialect or around)(as_error(error))
    if response.status_code == 405:
        response.headers["Allow"] = ", ".join(methods)
    return response


def _lifespan(settings: Settings) -> Callable[[FastAPI], object]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logs.configure(settings.log_level, settings.log_format)
        for doubt in start.doubts(settings):
            log.warning(doubt)
        store = open_store(settings)
        blobs = open_blobs(settings)
        intake = Intake(settings, open_uploads(settings), blobs)
        service = Service(settings, store, blobs, Catalog(settings), intake)
        workers = WorkerPool(settings, store, blobs, slots=_slots(settings, store))
        service.passing |= {TASKS, STREAM, BACKLOG, V3}
        archive = Archive(settings)
        accounts = Accounts(settings, archive)
        keys, clients = Keys(settings, archive), Clients(settings, archive)
        courier = Courier(settings, store, blobs, outgoing(clients, store), archive=archive)
        app.state.service, app.state.workers, app.state.courier = service, workers, courier
        app.state.keys, app.state.clients = keys, clients
        app.state.backlog = BacklogState(service, clients, courier, archive)
        app.state.tasks, app.state.v3 = TaskState(service, accounts), V3State(service, keys, archive)
        app.state.dialects = [PRIMARY, TASKS, STREAM, BACKLOG, V3]

        def stop() -> None:
            service.close()
            intake.stop()
            workers.stop()
            courier.stop()

        if settings.print_link_with_token:
            await _print_link(app.state.tasks, settings)
        asked = await asyncio.to_thread(_print_first, keys, clients)
        asking = None if asked else asyncio.create_task(_print_first_later(keys, clients))
        workers.start()
        courier.start()
        tidying = asyncio.create_task(service.keep_tidy())
        try:
            with _on_stop_signals(stop):
                yield
        finally:
            stop()
            if asking is not None:
                asking.cancel()
            await tidying
            await asyncio.to_thread(workers.join)
            await asyncio.to_thread(courier.join)
            intake.close()
            accounts.close()
            app.state.v3.close()
            keys.close()
            clients.close()
            store.close()

    return lifespan


def _slots(settings: Settings, store: JobStore) -> Path | None:
    """Where the processes of a server on this machine agree which of them has the engines."""
    if isinstance(store, FileJobStore):
        return store.folder
    if settings.redis_url is None:
        return None
    folder = settings.path(settings.spool_dir)
    files.make_folder(folder)
    return folder


async def _print_link(tasks: TaskState, settings: Settings) -> None:
    """Not a log line: those never hold tokens. A server that cannot keep users does all else."""
    try:
        print(await tasks.link(start.url_of(settings)), flush=True)  # noqa: T201
    except Error as error:
        log.warning("no link with a token was made: %s", error.sentence)


def _print_first(keys: Keys, clients: Clients, unasked: int = logging.WARNING) -> bool:
    """Not log lines: those never hold keys. False when it cannot be known whether there are keys already,
    which is told at the level `unasked`; a server that cannot keep keys does all else."""
    try:
        for line in first(keys, clients):
            print(line, flush=True)  # noqa: T201
    except Error as error:
        log.log(unasked, "no first key was made yet; trying until one can be: %s", error.sentence)
        return False
    return True


async def _print_first_later(keys: Keys, clients: Clients) -> None:
    """As soon as it can be asked whether there are any."""
    while True:
        await asyncio.sleep(_AGAIN)
        if await asyncio.to_thread(_print_first, keys, clients, logging.DEBUG):
            return


@contextmanager
def _on_stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` as soon as the process is told to end.

    The server waits for open connections before it ends the lifespan, and an event stream stays open until
    its watcher is told; so we have to hear the signal ourselves, and pass it on to the server's own handler.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # a server in a thread (a test's) gets no signals
        return
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _load_settings() -> Settings:
    try:
        return start.load()
    except Misconfigured as error:
        sys.exit(error.sentence)


app = create_app(_load_settings())
