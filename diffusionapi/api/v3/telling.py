"""How far a request is: its pictures' jobs, looked at together, and what its client is told of them."""

from __future__ import annotations

import base64
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from diffusionapi.api import series
from diffusionapi.api.v3 import generation_schemas as schemas
from diffusionapi.api.v3.schemas import FailedAnswer
from diffusionapi.api.v3.state import DIALECT, picture_url
from diffusionapi.errors import UnknownJob, UnknownPicture

if TYPE_CHECKING:
    from pydantic import BaseModel

    from diffusionapi.api.series import Series
    from diffusionapi.api.v3.state import V3State
    from diffusionapi.service import Service

WAIT = (
    "Your request is processing in background, you can get the response by POST to fetch_result with your key"
)
ASK_LATER = "Try to fetch request after given estimated time"
NOT_YET = "Request processing"
_NUMBER = re.compile(r"\d{1,10}")


def find(core: Service, state: V3State, owner: str, number: str | int) -> Series:
    """A request by its id; UnknownJob when it is another key's, too. Looks at files."""
    said = str(number).strip()
    job_id = state.ids.of(int(said)) if _NUMBER.fullmatch(said) else ""
    if not job_id or not core.of_dialect(job_id, DIALECT):
        raise UnknownJob(said)
    ticket = core.store.ticket(job_id)
    if ticket.payload["owner"] != owner:
        raise UnknownJob(said)
    return series.look(core.store, ticket)


def at_once(core: Service, state: V3State, made: Series) -> BaseModel:
    """The answer to the request itself, for as long as it was waited for. Looks at files."""
    payload, single = made.ticket.payload, bool(made.ticket.payload["single"])
    if not made.over:
        return _processing(core, state, made)
    _note(state, made)
    if not made.done:
        return _failed(made)
    output = _output(core, made)
    if payload["meta"] is None:
        return schemas.Enlarged(
            status="success",
            generationTime=seconds(made),
            id=payload["number"],
            output=output[0] if single else output,
        )
    return schemas.Generated(
        status="success",
        tip=_tip(made),
        generationTime=seconds(made),
        id=payload["number"],
        output=output,
        nsfw_content_detected=flagged(made),
        meta=meta_of(made),
    )


def _processing(core: Service, state: V3State, made: Series) -> BaseModel:
    payload = made.ticket.payload
    return schemas.Processing(
        status="processing",
        tip=WAIT,
        eta=_eta(core, state, made),
        messege=ASK_LATER,
        message=ASK_LATER,
        webhook_status="",
        fetch_result=f"{payload['base']}{payload['fetch']}{payload['number']}",
        id=payload["number"],
        output=[],
        meta=payload["meta"] or {},
        future_links=links(payload),
    )


def fetched(core: Service, state: V3State, made: Series) -> BaseModel:
    """The answer to whoever asks by the id. Looks at files."""
    payload = made.ticket.payload
    if not made.over:
        eta = _eta(core, state, made)
        return schemas.NotYet(
            status="processing", id=payload["number"], messege=NOT_YET, message=NOT_YET, output="", eta=eta
        )
    _note(state, made)
    if not made.done:
        return _failed(made)
    return schemas.Fetched(status="success", tip=_tip(made), id=payload["number"], output=_output(core, made))


def _failed(made: Series) -> FailedAnswer:
    return FailedAnswer(tip=made.problem)


def _tip(made: Series) -> str | None:
    """That nothing was painted is told; a step more or less of a sampler is in no answer of this API."""
    how = (one.picture.sampled for one in made.known if one.picture is not None)
    noticed = (notice for one in how if one is not None and not one.steps for notice in one.notices)
    return "; ".join(dict.fromkeys(filter(None, (*made.ticket.notices, *noticed, made.problem)))) or None


def _output(core: Service, made: Series) -> list[str]:
    payload = made.ticket.payload
    if not payload["base64"]:
        return [links(payload)[place] for place, _ in made.done]
    pictures = (one.picture for _, one in made.done)
    found = []
    for picture in pictures:
        with suppress(UnknownPicture):  # somebody tidied the folder
            found.append(base64.b64encode(core.blobs.get(picture.name if picture else "")).decode())
    return found


def seconds(made: Series) -> float:
    """From the start of the first to the end of the last."""
    if made.started_at is None or made.ended_at is None:
        return 0.0
    return round(max(0.0, made.ended_at - made.started_at), 2)


def links(payload: dict[str, Any]) -> list[str]:
    """Where each picture is, or will be."""
    return [
        picture_url(payload["base"], payload["file_prefix"], place) for place in range(len(payload["jobs"]))
    ]


def flagged(made: Series) -> bool:
    how = [one.picture.sampled for one in made.known if one.picture is not None]
    return any(one is not None and one.flagged for one in how)


def meta_of(made: Series) -> dict[str, Any]:
    """With the prompts as the model was told them."""
    meta: dict[str, Any] = dict(made.ticket.payload["meta"])
    for one in made.known:
        if one.picture is not None and one.picture.sampled and one.picture.sampled.translated:
            meta["prompt"], meta["negative_prompt"] = one.picture.sampled.translated
    return meta


def _note(state: V3State, made: Series) -> None:
    for job_id, one in zip(made.ticket.payload["jobs"], made.jobs, strict=True):
        if one is not None:
            state.pace.note(job_id, one)


def _eta(core: Service, state: V3State, made: Series) -> float:
    now = time.time()
    left = [
        state.pace.left(one, core.store.position(job_id), now)
        for job_id, one in zip(made.ticket.payload["jobs"], made.jobs, strict=True)
        if one is not None
    ]
    return round(max(left), 2)
