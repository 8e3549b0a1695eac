"""The routes that tell what there is: models, schedulers, the load."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body

from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3 import lists_schemas as schemas
from diffusionapi.api.v3 import naming
from diffusionapi.api.v3.caller import Asker, State  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3.face import failures, v3_router
from diffusionapi.api.v3.lists_schemas import OnlyKey  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3.schemas import FailedAnswer, V3Refused
from diffusionapi.catalog import matching
from diffusionapi.catalog.matching import Named
from diffusionapi.core.diffusers_names import SCHEDULERS
from diffusionapi.errors import BadRequest, BrokenModel
from diffusionapi.weights import trained
from diffusionapi.weights.families import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.catalog.catalog import Catalog
    from diffusionapi.catalog.scan import Installed

router = v3_router()


@router.post(
    "/api/v3/system_load",
    summary="How much there is to do",
    response_model=schemas.SystemLoad | FailedAnswer | V3Refused,
    responses=failures(),
)
async def system_load(core: Core, state: State, _: Asker, __: OnlyKey) -> schemas.SystemLoad:
    listing = await asyncio.to_thread(core.store.listing, 0)
    now = time.time()
    left = sum(state.pace.left(one.progress, None, now) for one in listing.running)
    return schemas.SystemLoad(
        queue_num=len(listing.running) + listing.waiting_total,
        queue_time=round(left + listing.waiting_total * state.pace.usual, 1),
    )


_MODELS: dict[str, Any] = {
    "summary": "The models, and the trainings that are ready",
    "response_model": list[schemas.ListedModel] | FailedAnswer | V3Refused,
    "responses": failures(),
}


@router.post("/api/v4/dreambooth/model_list", name="v4_model_list", **_MODELS)
@router.post("/api/v3/dreambooth/model_list", name="v3_model_list", **_MODELS)
async def model_list(core: Core, _: Asker, __: OnlyKey) -> list[schemas.ListedModel]:
    """What `model_id` may be. A trained LoRA brings its model with it, and its words."""
    return await asyncio.to_thread(lambda: [*_models(core.catalog), *_trainings(core.catalog)])


def _models(catalog: Catalog) -> Iterator[schemas.ListedModel]:
    labels = catalog.labels
    for one in catalog.models:
        with suppress(BrokenModel):
            found = catalog.found_model(one)
            if found is not None and found.family == "refiner":
                continue
            yield schemas.ListedModel(
                model_id=one.name,
                created_at=_changed(one),
                instance_prompt=None,
                model_name=labels.get(one.name, one.name),
                description=f"A model of {LABELS[found.family]}" if found else "Built in; it draws shapes",
            )


def _trainings(catalog: Catalog) -> Iterator[schemas.ListedModel]:
    for one in catalog.loras:
        with suppress(BrokenModel, BadRequest):
            if one.path is not None and (said := trained.read(one.path)) is not None:
                catalog.model(said.model, naming.MODEL)
                yield schemas.ListedModel(
                    model_id=one.name,
                    created_at=_time(said.created_at),
                    instance_prompt=said.instance_prompt,
                    model_name=one.name,
                    description=f"A LoRA trained on {said.model}",
                )


def _changed(model: Installed) -> str | None:
    with suppress(OSError):
        return _time(model.path.stat().st_mtime) if model.path else None
    return None


def _time(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@router.post(
    "/api/v4/dreambooth/model_reload",
    summary="Look at a model's files again",
    response_model=schemas.Started | FailedAnswer | V3Refused,
    responses=failures(),
)
async def model_reload(
    core: Core,
    _: Asker,
    body: Annotated[
        schemas.ModelReload,
        Body(openapi_examples={"model": {"summary": "A model", "value": schemas.RELOAD_EXAMPLE}}),
    ],
) -> schemas.Started:
    """Files that have changed are loaded anew by themselves; this says whether they can be used."""
    await asyncio.to_thread(_check, core.catalog, body.model_id)
    return schemas.Started(message="model reload started")


def _check(catalog: Catalog, name: str | None) -> None:
    found = naming.subject(name, catalog, required=True)
    loras = [found.lora] if found.lora else []
    matching.check(catalog, Named(found.model, naming.MODEL), None, loras)


_SCHEDULERS: dict[str, Any] = {
    "summary": "The schedulers by name",
    "response_model": schemas.Schedulers | FailedAnswer | V3Refused,
    "responses": failures(),
}


@router.post("/api/v1/enterprise/schedulers_list", name="v1_schedulers_list", **_SCHEDULERS)
@router.post("/api/v3/schedulers_list", name="v3_schedulers_list", **_SCHEDULERS)
async def schedulers_list(_: Asker, __: OnlyKey) -> schemas.Schedulers:
    return schemas.Schedulers(schedulers=list(SCHEDULERS))
