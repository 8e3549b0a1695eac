"""From a request of the streaming dialect to a job of the core."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import TYPE_CHECKING

from diffusionapi.catalog import matching
from diffusionapi.catalog.matching import Named
from diffusionapi.core import sampling
from diffusionapi.core.job import Ticket
from diffusionapi.core.request import GenerationRequest, safety
from diffusionapi.errors import BadRequest, Misconfigured

if TYPE_CHECKING:
    from diffusionapi.api.stream.schemas import StreamRequest
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.settings import Settings

DIALECT = "stream"
SAMPLER, SCHEDULE = "DPM++ 2M Karras", "karras"
"""Clients name none. One call of the network a step, so that steps are alike."""
SEEDS = 2**32
_UNUSED_QUALITY = 85
"""Of a JPEG; the picture is a PNG."""


def ticket(asked: StreamRequest, catalog: Catalog, settings: Settings) -> Ticket:
    """A new job; looks at files. Misconfigured when the server's own model cannot be used."""
    width, height = asked.size
    how = sampling.resolve(SAMPLER, SCHEDULE, asked.steps, sampler_field="sampler", schedule_field="schedule")
    request = GenerationRequest(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt or "",
        model=_model(catalog, settings),
        width=width,
        height=height,
        steps=asked.steps,
        guidance=asked.guidance_scale,
        sampler=how.sampler,
        schedule=how.schedule,
        seed=secrets.randbelow(SEEDS),
        file_type="png",
        quality=_UNUSED_QUALITY,
        clip_skip=None,
        loras=(),
        hires=None,
        refiner=None,
        safety=safety(settings.safety, asked=False),
    )
    return Ticket(str(uuid.uuid4()), DIALECT, time.time(), request, {})


def _model(catalog: Catalog, settings: Settings) -> str:
    """The server's default. Clients name none, so that it cannot be used is no mistake of theirs."""
    try:
        model = catalog.default_model("model")
        matching.check(catalog, Named(model, "model"), None, ())
    except BadRequest as error:
        raise Misconfigured(error.sentence) from error
    if settings.safety == "required" and catalog.safety_checker(model) is None:
        raise Misconfigured("No safety checker is installed, and no picture is shown without one (SAFETY)")
    return model.name
