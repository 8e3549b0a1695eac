"""All routes of the v3 dialect."""

from __future__ import annotations

from fastapi import APIRouter

from diffusionapi.api.v3 import enlarging, fetching, generations, lists, misc, training

PREFIXES = ("/api/v3/", "/api/v4/", "/api/v5/", "/api/v6/", "/api/v1/enterprise/")
"""Whatever lies below these is ours, also what there is not."""

router = APIRouter()
for part in (generations, fetching, enlarging, lists, training, misc):
    router.include_router(part.router)
