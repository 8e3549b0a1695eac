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

from diffusionapi import __version__, logs, start
from diffusionapi.api import health
from diffusionapi.api.dialect import as_error
from diffusionapi.api.primary import routes as primary
from diffusionapi.blobs.folder import FolderBlobs
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.engine.build import with_engine
from diffusionapi.errors import Misconfigured
from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.open import open_store
from diffusionapi.service import Service
from diffusionapi.worker.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import FrameType

    from starlette.responses import Response

    from diffusionapi.settings import Settings

log = logging.getLogger(__name__)

_DESCRIPTION = """
A self-hosted Stable Diffusion server. Post a request to `/txt2img`, then poll `/queue/{job_id}`
or listen to `/queue/{job_id}/events`.
"""


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
    )
    app.include_router(primary.router)
    app.include_router(health.router)
    app.add_exception_handler(HTTPException, _outside_any_dialect)

    @app.get("/", include_in_schema=False)
    async def root(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")

    return app


async def _outside_any_dialect(_: Request, error: Exception) -> Response:
    """Unknown paths and methods belong to no dialect; they get the primary one's face."""
    return primary.face(as_error(error))


def _lifespan(settings: Settings) -> Callable[[FastAPI], object]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logs.configure(settings.log_level, settings.log_format)
        for doubt in start.doubts(settings):
            log.warning(doubt)
        store = open_store(settings)
        blobs = FolderBlobs(settings.path(settings.outputs_dir))
        service = Service(settings, store, blobs, Catalog(settings))
        slots = store.folder if isinstance(store, FileJobStore) else None
        workers = WorkerPool(settings, store, blobs, slots=slots)
        app.state.service, app.state.workers = service, workers

        def stop() -> None:
            service.close()
            workers.stop()

        workers.start()
        tidying = asyncio.create_task(service.keep_tidy())
        try:
            with _on_stop_signals(stop):
                yield
        finally:
            stop()
            await tidying
            await asyncio.to_thread(workers.join)
            store.close()

    return lifespan


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
