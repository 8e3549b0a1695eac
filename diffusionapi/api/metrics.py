"""Figures for Prometheus: of the line, from the store, and of the workers of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from diffusionapi import prometheus
from diffusionapi.errors import Error
from diffusionapi.jobs import census

if TYPE_CHECKING:
    from diffusionapi.prometheus import Family
    from diffusionapi.service import Service
    from diffusionapi.worker.pool import WorkerPool

router = APIRouter(tags=["health"])


@router.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse)
def metrics(request: Request) -> PlainTextResponse:
    """Of the line, and of the workers of this process. Without its store the server still says that it is up,
    and `diffusionapi_store_up` is 0."""
    service: Service = request.app.state.service
    workers: WorkerPool = request.app.state.workers
    found: list[Family] = []
    try:
        found += census.families(service.store.census())
        up = 1
    except Error:
        up = 0
    found.append(prometheus.gauge("store_up", "Whether the jobs can be reached.", up))
    if workers.count:
        found += workers.figures.families()
    return PlainTextResponse(prometheus.text(found), media_type=prometheus.CONTENT_TYPE)
