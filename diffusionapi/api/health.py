"""For those who run the server: is the process alive, could it take a job now, do its workers live?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from diffusionapi import files
from diffusionapi.api.answers import ready_json
from diffusionapi.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffusionapi.service import Service
    from diffusionapi.worker.pool import WorkerPool

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    ok: bool


class Readiness(BaseModel):
    ok: bool
    problems: dict[str, str] = Field(description="What stands in the way, by part; empty when nothing does")


@router.get("/livez", summary="Does the process answer?")
async def livez() -> Alive:
    return Alive(ok=True)


@router.get(
    "/readyz",
    summary="Could this process accept a job now, and do its workers live?",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Something stands in the way"}},
)
def readyz(request: Request) -> Response:
    """Looks at the queue, the places of pictures, the free disk space and the workers of this process.

    With `WORKERS=0` the workers are elsewhere, and nothing is said about them.
    """
    service: Service = request.app.state.service
    workers: WorkerPool = request.app.state.workers
    checks: dict[str, Callable[[], None]] = {
        "queue": service.store.check,
        "outputs": service.blobs.check,
        "uploads": service.intake.uploads.check,
        "disk": lambda: files.check_free(_disk(service), service.settings.min_free_mb),
    }
    # Side by side: places that are away are waited for once, not one after another.
    with ThreadPoolExecutor(len(checks)) as pool:
        said = zip(checks, pool.map(_problem, checks.values()), strict=True)
        problems = {part: problem for part, problem in said if problem}
    if workers.problem:
        problems["workers"] = workers.problem
    return ready_json(Readiness(ok=not problems, problems=problems), 503 if problems else 200)


def _disk(service: Service) -> Path:
    """Where this machine keeps what it does keep: pictures, or only keys and accounts."""
    return service.blobs.folder or service.settings.data_dir


def _problem(check: Callable[[], None]) -> str | None:
    try:
        check()
    except Error as error:
        return error.sentence
    return None
