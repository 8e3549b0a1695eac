"""From a request of the backlog to jobs of the core: one for each picture."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffusionapi.api.backlog.schemas import MAX_SEED
from diffusionapi.catalog import matching
from diffusionapi.catalog.matching import Named
from diffusionapi.core import request as core
from diffusionapi.core import sampling
from diffusionapi.core.job import Ticket
from diffusionapi.core.request import GenerationRequest, Source
from diffusionapi.errors import BadRequest

if TYPE_CHECKING:
    from diffusionapi.api.backlog.schemas import DiffusionRequest
    from diffusionapi.auth.clients import Client
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.core.sampling import Sampling
    from diffusionapi.settings import Settings

DIALECT = "backlog"
PUBLISHED_MODEL = "sd-v1-4.ckpt"
"""Of the published configuration: whatever is installed stands for it."""
_SAMPLER = "DDIM"
_UNUSED_QUALITY = 85
"""Of a JPEG; the pictures are PNGs."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a request leaves open, or names."""

    model: str
    sampling: Sampling
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request stands: its number, its jobs' ids, who asked and how they reached us."""

    uid: int
    jobs: list[str]
    client: Client
    username: str
    base: str


def choose(body: DiffusionRequest, catalog: Catalog, settings: Settings) -> Chosen:
    """BadRequest, naming the field, for what cannot be drawn."""
    for name in ("width", "height"):
        if getattr(body, name) > settings.max_side:
            raise BadRequest(name, f"at most {settings.max_side} on this server (MAX_SIDE)")
    model, notices = _model(body.model, catalog)
    matching.check(catalog, Named(model, "model"), None, ())
    if settings.safety == "required" and catalog.safety_checker(model) is None:
        raise BadRequest("model", "has no safety checker, and this server shows no picture without (SAFETY)")
    wished = _SAMPLER
    if body.steps < sampling.FEWEST_STEPS.get(wished, 1):
        # There is nothing yet that they would do otherwise.
        notices = (*notices, f"One step of {wished} is one of Euler's")
        wished = "Euler"
    how = sampling.resolve(wished, "default", body.steps, sampler_field="steps", schedule_field="steps")
    return Chosen(model.name, how, (*how.notices, *notices))


def _model(name: str | None, catalog: Catalog) -> tuple[Installed, tuple[str, ...]]:
    if name is None:
        return catalog.default_model("model"), ()
    try:
        return catalog.model(name, "model"), ()
    except BadRequest:
        if name != PUBLISHED_MODEL:
            raise
    model = catalog.default_model("model")
    return model, (f"The model {name!r} is not installed; {model.name!r} was used",)


def tickets(
    body: DiffusionRequest, chosen: Chosen, upload: str | None, place: Place, policy: core.SafetyPolicy
) -> list[Ticket]:
    """A job for each picture. They share what is kept of the request, down to where its client is called:
    when that changes, it is for later requests."""
    now, client = time.time(), place.client
    payload: dict[str, Any] = {
        "uid": place.uid,
        "client": client.token,
        "params": _params(body, chosen, place),
        "jobs": place.jobs,
        "files": [f"{place.uid}_{cycle}_{secrets.token_hex(8)}.png" for cycle in range(body.cimg)],
        "base": place.base,
        "domain": client.domain,
        "uri_notify": client.uri_notify,
        "uri_upload": client.uri_upload,
    }
    return [
        Ticket(
            job_id,
            DIALECT,
            now,
            _request(body, chosen, upload, core.safety(policy, asked=False), cycle),
            payload | {"cycle": cycle},
            chosen.notices,
        )
        for cycle, job_id in enumerate(place.jobs)
    ]


def _params(body: DiffusionRequest, chosen: Chosen, place: Place) -> dict[str, Any]:
    """The request as its client is told it, in the order of the wire."""
    return {
        "username": place.username,
        "word": body.word,
        "width": body.width,
        "height": body.height,
        "model": chosen.model,
        "cimg": body.cimg,
        "guidance": body.guidance,
        "strength": body.strength,
        "seed": body.seed,
        "steps": body.steps,
        "url": body.url_upload,
        "uid_backlog": place.uid,
        "client_token": place.client.token,
    }


def _request(
    body: DiffusionRequest, chosen: Chosen, upload: str | None, safety: core.Safety, cycle: int
) -> GenerationRequest:
    return GenerationRequest(
        prompt=body.word,
        negative_prompt="",
        model=chosen.model,
        width=body.width,
        height=body.height,
        steps=body.steps,
        guidance=body.guidance,
        sampler=chosen.sampling.sampler,
        schedule=chosen.sampling.schedule,
        seed=(body.seed + cycle) % (MAX_SEED + 1),
        file_type="png",
        quality=_UNUSED_QUALITY,
        clip_skip=None,
        loras=(),
        hires=None,
        refiner=None,
        source=Source(upload, body.strength, "crop", None) if upload else None,
        safety=safety,
    )
