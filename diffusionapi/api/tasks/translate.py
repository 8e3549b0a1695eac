"""From the parameters of a task to a job of the core."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from diffusionapi.api.tasks import schemas
from diffusionapi.api.tasks.events import DIALECT
from diffusionapi.catalog import matching
from diffusionapi.catalog.matching import Named
from diffusionapi.core import request as core
from diffusionapi.core import sampling
from diffusionapi.core.job import Ticket
from diffusionapi.core.request import GenerationRequest, Mask, Source
from diffusionapi.errors import BadPicture, BadRequest, PictureGone

if TYPE_CHECKING:
    from diffusionapi.api.tasks.caller import Caller
    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed
    from diffusionapi.core.sampling import Sampling
    from diffusionapi.intake.intake import Intake
    from diffusionapi.settings import Settings

    Params = schemas.Txt2ImgQuery | schemas.Img2ImgQuery | schemas.InpaintQuery

SAMPLERS: dict[schemas.Scheduler, str] = {"plms": "PLMS", "ddim": "DDIM", "k-lms": "LMS"}
"""On the schedule that each has when it is asked for nothing else."""
SEEDS = 2**32
"""Seeds that are drawn; larger ones are no whole numbers in JavaScript."""
_UNUSED_QUALITY = 85
"""Of a JPEG; tasks make PNGs."""
_NOWHERE = "gone"
"""An upload that cannot be: whoever runs a task without its picture fails at it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the names in the parameters mean here."""

    model: Installed
    named: str
    """The model as `parameters_used` says it."""
    sampling: Sampling
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a task begins from; `problem` when its pictures cannot be had.

    `inline` are the uploads that were made of pictures which came inside the parameters: those would make
    every event megabytes long, so `parameters_used` has URLs in their place.
    """

    size: tuple[int, int]
    source: Source | None = None
    problem: str | None = None
    inline: dict[str, str] = field(default_factory=dict)


def choose(params: Params, catalog: Catalog, settings: Settings) -> Chosen:
    """BadRequest, naming the parameter, for what cannot be drawn."""
    model, named, notices = _model(params, catalog, settings)
    matching.check(catalog, Named(model, "model"), None, ())
    if settings.safety == "required" and catalog.safety_checker(model) is None:
        raise BadRequest(
            "safety_filter", "no safety checker is installed, and this server shows no picture without one"
        )
    how, one_step = _sampling(params)
    return Chosen(model, named, how, (*how.notices, *one_step, *notices))


def _sampling(params: Params) -> tuple[Sampling, tuple[str, ...]]:
    """The sampler, and what there is to say of it."""
    wished, notices = SAMPLERS[params.scheduler], tuple[str, ...]()
    if params.steps < sampling.FEWEST_STEPS.get(wished, 1):
        # There is nothing yet that they would do otherwise.
        notices = (f"One step of {wished} is one of Euler's",)
        wished = "Euler"
    how = sampling.resolve(
        wished, "default", params.steps, sampler_field="scheduler", schedule_field="scheduler"
    )
    return how, notices


def _model(params: Params, catalog: Catalog, settings: Settings) -> tuple[Installed, str, tuple[str, ...]]:
    for one in catalog.models:
        if one.path is not None and one.path == settings.path(params.model):
            return one, params.model, ()
    try:
        return catalog.model(params.model, "model"), params.model, ()
    except BadRequest:
        # Clients made from our document send every default, so that of the model cannot be told from a wish.
        if params.model != type(params).model_fields["model"].default:
            raise
    model = catalog.default_model("model")
    return model, model.name, (f"The model {params.model!r} is not installed; {model.name!r} was used",)


async def beginning(params: Params, intake: Intake, here: str, most: int) -> Beginning:
    """Take in the pictures. That one cannot be had is told by the task's end, as is all else about them."""
    if isinstance(params, schemas.Txt2ImgQuery):
        for name in ("width", "height"):
            if getattr(params, name) > most:
                raise BadRequest(name, f"at most {most} on this server (MAX_SIDE)")
        return Beginning((params.width, params.height))
    given, uploads = params.initial_image, dict[str, str]()
    try:
        uploads["initial_image"] = await intake.picture(given, "initial_image", here=here)
        if isinstance(params, schemas.InpaintQuery):
            given = params.mask
            uploads["mask"] = await intake.mask(given, "mask", here=here)
        size = _size(await asyncio.to_thread(intake.uploads.size, uploads["initial_image"]), most)
    except PictureGone:
        return _impossible(f"Blob not found: {given}")
    except BadPicture as error:
        return _impossible(error.sentence)
    strength = params.strength if isinstance(params, schemas.Img2ImgQuery) else 1.0
    mask = _mask(uploads["mask"]) if "mask" in uploads else None
    inline = {name: upload for name, upload in uploads.items() if not _is_short(getattr(params, name))}
    return Beginning(size, Source(uploads["initial_image"], strength, "stretch", mask), inline=inline)


def _is_short(given: str) -> bool:
    return given.lower().startswith(("http://", "https://", "/"))


def _mask(upload: str) -> Mask:
    return Mask(upload=upload, blur=0, invert=False, fill="original", only_masked=False, padding=0)


def _impossible(problem: str) -> Beginning:
    return Beginning((8, 8), Source(_NOWHERE, 1.0, "stretch", None), problem)


def _size(given: tuple[int, int], most: int) -> tuple[int, int]:
    """That of the picture, on the grid of 8 pixels."""
    width, height = (max(8, (side + 4) // 8 * 8) for side in given)
    if max(width, height) > most:
        raise BadPicture("initial_image", f"may have {most} pixels a side on this server (MAX_SIDE)")
    return width, height


def ticket(
    params: Params,
    chosen: Chosen,
    begun: Beginning,
    *,
    used: dict[str, Any],
    caller: Caller,
    policy: core.SafetyPolicy,
) -> Ticket:
    """`used` are the parameters that are told otherwise than they were given."""
    seed = secrets.randbelow(SEEDS) if params.seed is None else params.seed
    request = GenerationRequest(
        prompt=params.prompt,
        negative_prompt=params.negative_prompt or "",
        model=chosen.model.name,
        width=begun.size[0],
        height=begun.size[1],
        steps=params.steps,
        guidance=params.guidance,
        sampler=chosen.sampling.sampler,
        schedule=chosen.sampling.schedule,
        seed=seed,
        file_type="png",
        quality=_UNUSED_QUALITY,
        clip_skip=None,
        loras=(),
        hires=None,
        refiner=None,
        source=begun.source,
        safety=core.safety(policy, asked=params.safety_filter),
    )
    payload: dict[str, Any] = {
        "params": params.model_dump() | {"model": chosen.named, "seed": seed} | used,
        "username": caller.name,
        "session": caller.session,
    }
    if begun.problem:
        payload["problem"] = begun.problem
    return Ticket(str(uuid.uuid4()), DIALECT, time.time(), request, payload, chosen.notices)
