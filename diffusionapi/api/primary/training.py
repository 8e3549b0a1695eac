"""The route that has a LoRA learnt."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Annotated

from fastapi import Body, Request

from diffusionapi.api import teaching
from diffusionapi.api.dialect import dialect_router
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.primary.face import face, failures
from diffusionapi.api.primary.schemas import MAX_SEED
from diffusionapi.api.primary.submit import REFUSALS, Key, key_of
from diffusionapi.api.primary.translate import DIALECT
from diffusionapi.api.primary.work_schemas import LEARN_EXAMPLE, Learning, LearnRequest
from diffusionapi.core.job import Ticket
from diffusionapi.core.names import fold
from diffusionapi.core.work import TrainingRequest
from diffusionapi.errors import BadRequest, JobExists

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffusionapi.api.teaching import Base
    from diffusionapi.catalog.catalog import Catalog

router = dialect_router(face, tags=[])

_NAMES = uuid.UUID("5d0fd0a2-9f0a-4a53-9f2b-64b51b2b8c5e")
"""The ids of trainings follow from the names of their LoRAs, and the store gives an id once. So of two of
one name, by whichever processes they come in, one is refused."""


@router.post("/training", summary="Submit a LoRA to be learnt", responses=failures(**REFUSALS))
async def training(
    core: Core,
    request: Request,
    body: Annotated[
        LearnRequest,
        Body(openapi_examples={"sun": {"summary": "What a sun looks like", "value": LEARN_EXAMPLE}}),
    ],
    idempotency_key: Key = None,
) -> Learning:
    """The job waits in the queue; `GET /queue/{job_id}` says how far it is, and in the end names the LoRA."""
    base = await asyncio.to_thread(_base, body, core.catalog)
    pictures = await teaching.taken(core.intake, body.images, "images[{}]", str(request.base_url))
    work = _work(body, base, pictures)
    payload = body.model_dump(exclude_none=True) | {
        "images": pictures,
        "model": body.model or work.model,
        "steps": work.steps,
        "size": work.size,
    }
    job_id = str(uuid.uuid5(_NAMES, fold(body.name)))
    notices = tuple(_notices(body, work))
    ticket = Ticket(job_id, DIALECT, time.time(), work, payload, notices, body.priority)
    named = await asyncio.to_thread(key_of, idempotency_key, body)
    try:
        job_id = await core.submit(ticket, named)
    except JobExists:
        raise _taken(body.name, f"is being learnt, or was a short while ago: GET /queue/{job_id}") from None
    return Learning(job_id=job_id, lora=body.name, notices=list(ticket.notices))


def _base(body: LearnRequest, catalog: Catalog) -> Base:
    for one in catalog.loras:
        if fold(one.name) == fold(body.name):
            raise _taken(one.name, "is there already")
    model = catalog.model(body.model, "model") if body.model else catalog.default_model("model")
    return teaching.base(model, catalog, "model")


def _taken(name: str, how: str) -> BadRequest:
    return BadRequest("name", f"a LoRA {name!r} {how}; take another name")


def _work(body: LearnRequest, base: Base, pictures: Sequence[str]) -> TrainingRequest:
    steps = body.steps or teaching.usual_steps(len(pictures))
    text_rate = body.text_encoder_learning_rate
    text_steps = min(body.text_encoder_steps or max(steps // 3, 1), steps) if text_rate else 0
    drawn = body.seed in (None, -1)
    return TrainingRequest(
        name=body.name,
        model=base.model.name,
        pictures=tuple(pictures),
        instance_prompt=body.instance_prompt,
        class_prompt=body.class_prompt,
        class_negative_prompt=body.class_negative_prompt,
        class_pictures=body.class_images if body.class_prompt else 0,
        prior_weight=body.prior_weight if body.class_prompt else 0.0,
        steps=steps,
        rate=body.learning_rate,
        text_encoder_rate=text_rate,
        text_encoder_steps=text_steps,
        rank=body.rank,
        alpha=body.alpha or float(body.rank),
        size=body.size or base.size,
        batch=body.batch_size,
        seed=secrets.randbelow(MAX_SEED + 1) if drawn or body.seed is None else body.seed,
    )


def _notices(body: LearnRequest, work: TrainingRequest) -> Iterator[str]:
    """On what was chosen and does nothing, and what may be otherwise than it was meant."""
    fields = LearnRequest.model_fields
    chosen = {name for name in body.model_fields_set if getattr(body, name) != fields[name].default}
    if body.class_prompt is None:
        for name in ("class_negative_prompt", "class_images", "prior_weight"):
            if name in chosen:
                yield f"{name} has no effect without class_prompt"
    if not work.text_encoder_rate and "text_encoder_steps" in chosen:
        yield "text_encoder_steps has no effect: text_encoder_learning_rate is 0"
    yield from teaching.notices(work)
