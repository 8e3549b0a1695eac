"""A task's way into the queue, shared by those that are followed and those that are waited for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from diffusionapi.api.tasks import translate
from diffusionapi.api.tasks.face import refusal
from diffusionapi.errors import BadRequest, JobEnded, UnknownJob

if TYPE_CHECKING:
    from typing import Literal

    from fastapi import Request

    from diffusionapi.api.tasks.caller import Caller
    from diffusionapi.api.tasks.state import TaskState
    from diffusionapi.api.tasks.translate import Params
    from diffusionapi.core.job import Ticket
    from diffusionapi.service import Service


async def submit(
    core: Service,
    state: TaskState,
    params: Params,
    caller: Caller,
    request: Request,
    place: Literal["body", "query"],
) -> Ticket:
    """Accept a task; what the parameters name is refused in their own place of the request."""
    settings = core.settings
    try:
        chosen = await asyncio.to_thread(translate.choose, params, core.catalog, settings)
        begun = await translate.beginning(params, core.intake, str(request.base_url), settings.max_side)
    except BadRequest as error:
        raise refusal(error, place) from error
    base = state.links.base(request) if begun.inline else ""
    used = {name: state.links.url(base, upload) for name, upload in begun.inline.items()}
    ticket = translate.ticket(params, chosen, begun, used=used, caller=caller, policy=settings.safety)
    await core.submit(ticket)
    if begun.problem:
        # It can never run; its end says why.
        with suppress(JobEnded, UnknownJob):
            await core.cancel(ticket.id)
    return ticket
