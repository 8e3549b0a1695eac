"""All routes of the task dialect."""

from __future__ import annotations

from fastapi import APIRouter

from diffusionapi.api.tasks import blobs, now, tasks, users

router = APIRouter()
for part in (users, tasks, now, blobs):
    router.include_router(part.router)
