"""How far a request is: its pictures' jobs, looked at together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from diffusionapi.api.backlog import schemas
from diffusionapi.api.backlog.cycles import ENGINE, PICTURES, cost
from diffusionapi.api.backlog.face import NOT_YOURS
from diffusionapi.api.backlog.translate import DIALECT
from diffusionapi.api.dialect import HttpProblem
from diffusionapi.api.numbers import progress_of
from diffusionapi.core.job import JobState
from diffusionapi.errors import UnknownJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.api.backlog.state import BacklogState
    from diffusionapi.auth.clients import Client
    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.service import Service

CANCELLED = "The request was cancelled"
_UID = re.compile(r"\d{1,16}")


@dataclass(frozen=True, slots=True)
class Found:
    """A request by the ticket of its first picture, and how far each is; None for one that is gone."""

    ticket: Ticket
    cycles: list[Progress | None]


def find(core: Service, state: BacklogState, client: Client, uid: str) -> Found:
    """A request of this client; UnknownJob, or one that is another's. Looks at files."""
    job_id = state.job_id(int(uid), 0) if _UID.fullmatch(uid) else ""
    if not job_id or not core.of_dialect(job_id, DIALECT):
        raise UnknownJob(uid)
    ticket = core.store.ticket(job_id)
    if ticket.payload["client"] != client.token:
        raise HttpProblem(403, NOT_YOURS)
    return Found(ticket, [progress_of(core.store, one) for one in ticket.payload["jobs"]])


def answer(found: Found, state: BacklogState, base: str) -> schemas.RequestAnswer:
    payload = found.ticket.payload
    known = [one for one in found.cycles if one is not None]
    started = [one.started_at for one in known if one.started_at]
    over = all(one.state.ended for one in known)
    record = schemas.RequestRecord(
        client_token=payload["client"],
        uid_backlog=payload["uid"],
        ai_engine=ENGINE,
        params=schemas.Params(**payload["params"]),
        started_at=iso(min(started)) if started else None,
        response=[
            schemas.MadeFile(filename=f"{base}{PICTURES}{payload['files'][cycle]}", cycle=cycle)
            for cycle, one in enumerate(found.cycles)
            if one is not None and one.state is JobState.DONE
        ],
        cost_in_sec=round(cost(found.cycles)),
        ended_at=iso(max(one.ended_at or 0 for one in known)) if over else None,
        error="; ".join(dict.fromkeys(_problems(known))) or None,
        deliveries=list(_deliveries(state, payload["jobs"])),
    )
    return schemas.RequestAnswer(data=record)


def _problems(cycles: list[Progress]) -> Iterator[str]:
    for one in cycles:
        if one.failure is not None:
            yield one.failure.sentence
        elif one.state is JobState.CANCELLED:
            yield CANCELLED


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
