"""All routes of the backlog dialect."""

from __future__ import annotations

from fastapi import APIRouter

from diffusionapi.api.backlog import clients, requests

router = APIRouter()
for part in (clients, requests):
    router.include_router(part.router)
