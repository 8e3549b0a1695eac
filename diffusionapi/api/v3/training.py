"""The routes of trainings: begin one, look how far it is, list, take back, delete."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Path, Request

from diffusionapi.api import teaching
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3 import training_schemas as schemas
from diffusionapi.api.v3 import training_statuses as statuses
from diffusionapi.api.v3 import training_translate
from diffusionapi.api.v3.caller import Asker, Sender, State  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.v3.face import NotDone, NotThere, failures, v3_router
from diffusionapi.api.v3.lists_schemas import Done, OnlyKey, done
from diffusionapi.api.v3.schemas import FailedAnswer, V3Refused
from diffusionapi.api.v3.state import DIALECT
from diffusionapi.api.v3.submit import check_webhook
from diffusionapi.core.job import Ticket
from diffusionapi.errors import JobEnded, UnknownJob

if TYPE_CHECKING:
    from diffusionapi.api.v3.caller import Caller
    from diffusionapi.api.v3.state import V3State
    from diffusionapi.api.v3.training_translate import TrainingBody
    from diffusionapi.core.job import Progress
    from diffusionapi.service import Service

router = v3_router()

NO_TRAINING = "Training id not found"
_FORGOTTEN = 3600.0
"""Seconds after which a training without a job is none that is just being begun."""

Id = Annotated[str, Path(description="`training_id` of the answer to the request that began it")]

_BEGINNING: dict[str, Any] = {
    "response_description": "Its id, and what is going to be done",
    "response_model": schemas.TrainingStarted | FailedAnswer | V3Refused,
    "responses": failures(),
}
_ENDING: dict[str, Any] = {"response_model": Done | FailedAnswer | V3Refused, "responses": failures()}


def _example(value: dict[str, Any]) -> Any:
    return Body(openapi_examples={"person": {"summary": "A person", "value": value}})


@router.post(
    "/api/v3/fine_tune",
    summary="Teach a model what pictures show",
    **_BEGINNING,
)
async def fine_tune(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[schemas.FineTuneBody, _example(schemas.FINE_TUNE_EXAMPLE)],
) -> schemas.TrainingStarted:
    """In the manner of DreamBooth. What comes of it is a LoRA, whose name is a `model_id` like any other."""
    return await _begin(core, state, caller, request, body)


@router.post(
    "/api/v3/fine_tune_v2",
    summary="The same, with rates and steps of its parts",
    **_BEGINNING,
)
async def fine_tune_v2(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[schemas.FineTuneV2Body, _example(schemas.FINE_TUNE_V2_EXAMPLE)],
) -> schemas.TrainingStarted:
    """The rates are those of a LoRA's layers, which want a hundred times what a whole model would."""
    return await _begin(core, state, caller, request, body)


@router.post("/api/v3/lora_fine_tune", summary="Train a LoRA", **_BEGINNING)
async def lora_fine_tune(
    core: Core,
    state: State,
    caller: Sender,
    request: Request,
    body: Annotated[schemas.LoraFineTuneBody, _example(schemas.LORA_EXAMPLE)],
) -> schemas.TrainingStarted:
    return await _begin(core, state, caller, request, body)


async def _begin(
    core: Service, state: V3State, caller: Caller, request: Request, body: TrainingBody
) -> schemas.TrainingStarted:
    check_webhook(body.webhook, core.settings)
    base = await asyncio.to_thread(training_translate.choose, body, core.catalog)
    pictures = await teaching.taken(core.intake, body.images, "images.{}", str(request.base_url))
    training_id = await asyncio.to_thread(state.trainings.add, caller.name)
    work = training_translate.translate(body, base, training_id, pictures)
    notices = training_translate.notices(work)
    payload = {"training_id": training_id, "owner": caller.name, "webhook": body.webhook}
    try:
        await core.submit(
            Ticket(state.training_ids.of(training_id), DIALECT, time.time(), work, payload, notices)
        )
    except BaseException:
        await asyncio.to_thread(state.trainings.remove, training_id)
        raise
    where = f"{state.base(request)}/api/v3/fine_tune_status/{training_id}"
    data = ". ".join([*notices, f"{work.steps} steps are to be made; {where} says how far it is"])
    return schemas.TrainingStarted(data=data, training_id=training_id, model_id=training_id)


@router.post(
    "/api/v3/fine_tune_status/{training_id}",
    summary="How far a training is",
    response_model=schemas.TrainingStatus | FailedAnswer | V3Refused,
    responses=failures(),
)
async def fine_tune_status(
    core: Core, state: State, caller: Asker, training_id: Id, _: OnlyKey
) -> schemas.TrainingStatus:
    """As long as it runs, for JOB_TTL of the server after its end, and for as long as its LoRA is there."""
    return await asyncio.to_thread(_status, core, state, caller, training_id)


def _status(core: Service, state: V3State, caller: Caller, training_id: str) -> schemas.TrainingStatus:
    progress = _own(core, state, caller, training_id)
    if progress is None:
        status, said = statuses.READY, "Finished"
    else:
        status = statuses.present(progress)
        said = statuses.log_of(core.store.ticket(state.training_ids.of(training_id)), progress)
    return schemas.TrainingStatus(
        status=statuses.outcome(status),
        messege=status,
        message=status,
        data=said,
        training_id=training_id,
        model_id=training_id,
        training_status=status,
        model_training_status=status,
    )


@router.post(
    "/api/v3/finetune_list",
    summary="The trainings of a key",
    response_model=schemas.TrainingList | FailedAnswer | V3Refused,
    responses=failures(),
)
async def finetune_list(core: Core, state: State, caller: Asker, _: OnlyKey) -> schemas.TrainingList:
    """Those that wait, run or have come to a LoRA that is there; not those that failed or were cancelled."""
    return schemas.TrainingList(data=await asyncio.to_thread(_listed, core, state, caller))


def _listed(core: Service, state: V3State, caller: Caller) -> list[str]:
    found = []
    for one in state.trainings.of(caller.name):
        progress = _progress(core, state, one.id)
        if state.trainings.ready(one.id) or (progress is not None and not progress.state.ended):
            found.append(one.id)
        elif progress is None and one.created < time.time() - _FORGOTTEN:
            state.trainings.remove(one.id)  # it failed, or its LoRA was removed, and nobody knows it any more
    return found


@router.post(
    "/api/v3/cancle_training/{training_id}",
    name="cancle_training",
    summary="Take a training back",
    **_ENDING,
)
@router.post("/api/v3/cancel_training/{training_id}", summary="Take a training back", **_ENDING)
async def cancel_training(core: Core, state: State, caller: Asker, training_id: Id, _: OnlyKey) -> Done:
    """It stops within a step, and nothing is left of it."""
    await asyncio.to_thread(_own, core, state, caller, training_id)
    try:
        await core.cancel(state.training_ids.of(training_id))
    except (JobEnded, UnknownJob):
        raise NotDone("The training has ended already") from None
    return done("training cancelled")


@router.post(
    "/api/v3/finetune/delete/{training_id}",
    name="delete_training",
    summary="Delete a training and its LoRA",
    **_ENDING,
)
async def finetune_delete(core: Core, state: State, caller: Asker, training_id: Id, _: OnlyKey) -> Done:
    await asyncio.to_thread(_delete, core, state, caller, training_id)
    return done("training deleted")


def _delete(core: Service, state: V3State, caller: Caller, training_id: str) -> None:
    progress = _own(core, state, caller, training_id)
    if progress is not None and not progress.state.ended:
        raise NotDone("The training is not over; cancel it first")
    state.trainings.remove(training_id)
    with suppress(UnknownJob):
        core.store.forget(state.training_ids.of(training_id))


def _own(core: Service, state: V3State, caller: Caller, training_id: str) -> Progress | None:
    """How far a training of this key is, None when only its LoRA is left of it; NotThere for any other."""
    if state.trainings.owns(caller.name, training_id):
        progress = _progress(core, state, training_id)
        if progress is not None or state.trainings.ready(training_id):
            return progress
    raise NotThere(NO_TRAINING)


def _progress(core: Service, state: V3State, training_id: str) -> Progress | None:
    try:
        return core.store.progress(state.training_ids.of(training_id))
    except UnknownJob:
        return None
