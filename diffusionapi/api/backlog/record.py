"""How far a request is: its pictures' jobs, looked at together."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from diffusionapi.api import series
from diffusionapi.api.backlog import schemas
from diffusionapi.api.backlog.cycles import ENGINE, PICTURES, cost
from diffusionapi.api.backlog.face import NOT_YOURS
from diffusionapi.api.backlog.translate import DIALECT
from diffusionapi.api.dialect import HttpProblem
from diffusionapi.errors import UnknownJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.api.backlog.state import BacklogState
    from diffusionapi.api.series import Series
    from diffusionapi.auth.clients import Client
    from diffusionapi.service import Service

_UID = re.compile(r"\d{1,16}")


def find(core: Service, state: BacklogState, client: Client, uid: str) -> Series:
    """A request of this client; UnknownJob, or one that is another's. Looks at files."""
    job_id = state.job_id(int(uid), 0) if _UID.fullmatch(uid) else ""
    if not job_id or not core.of_dialect(job_id, DIALECT):
        raise UnknownJob(uid)
    ticket = core.store.ticket(job_id)
    if ticket.payload["client"] != client.token:
        raise HttpProblem(403, NOT_YOURS)
    return series.look(core.store, ticket)


def answer(found: Series, state: BacklogState, base: str) -> schemas.RequestAnswer:
    payload = found.ticket.payload
    ended = found.ended_at if found.over else None
    record = schemas.RequestRecord(
        client_token=payload["client"],
        uid_backlog=payload["uid"],
        ai_engine=ENGINE,
        params=schemas.Params(**payload["params"]),
        started_at=None if found.started_at is None else iso(found.started_at),
        response=[
            schemas.MadeFile(filename=f"{base}{PICTURES}{payload['files'][cycle]}", cycle=cycle)
            for cycle, _ in found.done
        ],
        cost_in_sec=round(cost(found.jobs)),
        ended_at=None if ended is None else iso(ended),
        error=found.problem,
        deliveries=list(_deliveries(state, payload["jobs"])),
    )
    return schemas.RequestAnswer(data=record)


def _deliveries(state: BacklogState, jobs: list[str]) -> Iterator[schemas.Delivery]:
    for cycle, job_id in enumerate(jobs):
        for one in state.courier.log(job_id):
            yield schemas.Delivery(
                cycle=cycle,
                what=one.what,
                url=one.url,
                at=iso(one.at),
                attempt=one.attempt,
                status=one.status,
                error=one.error,
                seconds=round(one.seconds, 3),
            )


def iso(when: float) -> str:
    """A time (epoch s) as the wire has it."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
