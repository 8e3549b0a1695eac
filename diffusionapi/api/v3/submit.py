"""A request's way into the queue, and the wait for its pictures."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from diffusionapi.api import series
from diffusionapi.api.answers import ready_json
from diffusionapi.api.v3 import telling
from diffusionapi.api.v3.state import DIALECT, new_number, new_prefix
from diffusionapi.api.v3.wording import wrong
from diffusionapi.core.job import Ticket
from diffusionapi.errors import JobExists, UnknownJob
from diffusionapi.webhooks import urls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastapi import Request, Response

    from diffusionapi.api.v3.caller import Caller
    from diffusionapi.api.v3.generation_schemas import Enlargement, Generation
    from diffusionapi.api.v3.state import V3State
    from diffusionapi.core.work import Work
    from diffusionapi.service import Service
    from diffusionapi.settings import Settings

_LOOK = 0.04
"""Seconds between two looks at the jobs."""
_LOOK_AT_CLIENT = 0.5


def check_webhook(url: str | None, settings: Settings) -> None:
    """A Refusal of one that nobody would be called at."""
    problem = urls.problem(url, allow_private=settings.allow_private_urls) if url else None
    if problem is not None:
        raise wrong("webhook", problem)


async def submit(
    core: Service,
    state: V3State,
    caller: Caller,
    request: Request,
    body: Generation | Enlargement,
    works: Sequence[Work],
    *,
    fetch: str,
    meta: Callable[[str], dict[str, Any]] | None = None,
    notices: tuple[str, ...] = (),
    single: bool = False,
) -> Ticket:
    """Accept a job for each picture; the first one's ticket. `meta` is made of the prefix of their names."""
    while True:
        number = new_number()
        prefix, jobs = new_prefix(number), [state.ids.of(number, place) for place in range(len(works))]
        payload: dict[str, Any] = {
            "number": number,
            "owner": caller.name,
            "jobs": jobs,
            "file_prefix": prefix,
            "base": state.base(request),
            "fetch": fetch,
            "base64": body.base64,
            "single": single,
            "webhook": body.webhook,
            "track_id": body.track_id,
            "meta": meta(prefix) if meta else None,
        }
        now = time.time()
        tickets = [
            Ticket(job_id, DIALECT, now, work, payload | {"place": place}, notices)
            for place, (job_id, work) in enumerate(zip(jobs, works, strict=True))
        ]
        with suppress(JobExists):  # the number is taken
            await core.submit_all(tickets)
            return tickets[0]


async def answer(core: Service, state: V3State, request: Request, ticket: Ticket) -> Response:
    """What has come of it after V3_WAIT at most. Whoever hangs up finds it by its id."""
    await _wait(core, request, ticket)
    made = await asyncio.to_thread(series.look, core.store, ticket)
    response = ready_json(await asyncio.to_thread(telling.at_once, core, state, made))
    response.headers["Cache-Control"] = "no-store"
    return response


async def _wait(core: Service, request: Request, ticket: Ticket) -> None:
    deadline = time.monotonic() + core.settings.v3_wait
    next_look_at_client = 0.0
    jobs: list[str] = list(ticket.payload["jobs"])
    while not core.closing and (now := time.monotonic()) < deadline:
        while jobs and await _over(core, jobs[0]):
            del jobs[0]
        if not jobs:
            return
        if now >= next_look_at_client:
            next_look_at_client = now + _LOOK_AT_CLIENT
            if await request.is_disconnected():
                return
        await asyncio.sleep(_LOOK)


async def _over(core: Service, job_id: str) -> bool:
    try:
        return (await core.look(job_id)).state.ended
    except UnknownJob:  # it was deleted
        return True
