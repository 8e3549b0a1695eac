"""A request's pictures together: each is a job of its own, and a cycle of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.errors import UnknownJob

if TYPE_CHECKING:
    from diffusionapi.core.job import Progress
    from diffusionapi.jobs.store import JobStore

ENGINE = "diffusion"
PICTURES = "/uploads/ai/"
"""Where pictures are, by their public names."""


def progress_of(store: JobStore, job_id: str) -> Progress | None:
    """Also of a job that was forgotten a short while ago."""
    try:
        return store.progress(job_id)
    except UnknownJob:
        return store.epitaph(job_id)


def cost(cycles: list[Progress | None]) -> float:
    """Seconds that the pictures which have ended took, together."""
    known = [one for one in cycles if one is not None]
    return sum(one.ended_at - one.started_at for one in known if one.started_at and one.ended_at)
