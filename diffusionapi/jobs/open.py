"""The store that JOB_STORE names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.memory import MemoryJobStore

if TYPE_CHECKING:
    from diffusionapi.jobs.store import JobStore
    from diffusionapi.settings import Settings


def open_store(settings: Settings) -> JobStore:
    if (url := settings.redis_url) is not None:
        # Imported late: it needs a package that not everybody has.
        from diffusionapi.jobs.redis.store import RedisJobStore

        return RedisJobStore(url)
    kind, _, place = settings.job_store.partition(":")
    if kind == "memory":
        return MemoryJobStore()
    return FileJobStore(settings.path(place))
