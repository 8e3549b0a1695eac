"""From the body of a training to a job of the core."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from diffusionapi.api import teaching
from diffusionapi.api.teaching import RANK, RATE, Base
from diffusionapi.api.v3.face import UnknownModelId
from diffusionapi.api.v3.training_schemas import (
    FineTuneV2Body,
    LoraFineTuneBody,
)
from diffusionapi.core.work import TrainingRequest
from diffusionapi.errors import BadRequest, BrokenModel
from diffusionapi.weights.families import LATENT_CHANNELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusionapi.api.v3.training_schemas import FineTuneBody
    from diffusionapi.catalog.catalog import Catalog

    TrainingBody = FineTuneBody | FineTuneV2Body | LoraFineTuneBody

_PRIOR_WEIGHT = 1.0
_CLASSES = {"men": "photo of a man", "female": "photo of a woman", "couple": "photo of a couple"}
_FIELD = "base_model_id"


def choose(body: TrainingBody, catalog: Catalog) -> Base:
    """UnknownModelId, or BadRequest for a model that nothing can be learnt on."""
    if isinstance(body, LoraFineTuneBody):
        if body.lora_type != "lora":
            raise BadRequest("lora_type", "this server trains LoRAs only; send lora")
        if body.base_model_id is None:
            return _of_kind(body.base_model_type, catalog)
    try:
        model = (
            catalog.default_model(_FIELD)
            if body.base_model_id is None
            else catalog.model(body.base_model_id, _FIELD)
        )
    except BadRequest as problem:
        raise UnknownModelId(problem.problem) from problem
    return teaching.base(model, catalog, _FIELD)


def _of_kind(kind: str, catalog: Catalog) -> Base:
    """The server's own model if it is of that kind, else the first that is."""
    families = ("sdxl",) if kind == "sdxl" else ("sd1", "sd2", None)
    for one in (catalog.default_model(_FIELD), *catalog.models):
        try:
            found = catalog.found_model(one)
        except BrokenModel:
            continue
        family, channels = (found.family, found.in_channels) if found else (None, LATENT_CHANNELS)
        if family in families and channels == LATENT_CHANNELS:
            return Base(one, found)
    raise BadRequest("base_model_type", f"no model of the kind {kind!r} is installed")


def translate(body: TrainingBody, base: Base, name: str, pictures: Sequence[str]) -> TrainingRequest:
    class_prompt = body.class_prompt or _CLASSES.get(body.training_type or "")
    count = body.num_class_images if class_prompt else 0
    steps, rate = _steps(body), RATE
    text_rate, text_steps = 0.0, 0
    if isinstance(body, FineTuneV2Body):
        rate, text_rate = body.learning_rate_unet, body.learning_rate_text_encoder
        text_steps = min(body.steps_text_encoder, steps) if text_rate else 0
    return TrainingRequest(
        name=name,
        model=base.model.name,
        pictures=tuple(pictures),
        instance_prompt=body.instance_prompt,
        class_prompt=class_prompt if count else None,
        class_negative_prompt=body.negative_prompt,
        class_pictures=count,
        prior_weight=_PRIOR_WEIGHT if count else 0.0,
        steps=steps,
        rate=rate,
        text_encoder_rate=text_rate if text_steps else 0.0,
        text_encoder_steps=text_steps,
        rank=RANK,
        alpha=float(RANK),
        size=base.size,
        batch=1,
        seed=secrets.randbits(32) if body.seed is None else body.seed,
    )


def _steps(body: TrainingBody) -> int:
    if isinstance(body, FineTuneV2Body):
        return body.steps_unet
    return body.max_train_steps or teaching.usual_steps(len(body.images))


def notices(request: TrainingRequest) -> tuple[str, ...]:
    """What may be otherwise than it was meant."""
    return (f"What is learnt is a LoRA for {request.model}", *teaching.notices(request))
