"""Who asks: the holder of the key that travels in the body."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from diffusionapi.api.v3.state import V3State
from diffusionapi.errors import NotAuthenticated


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is that of the key: what was asked for stays its own when another key gets the name."""

    name: str


async def _state(request: Request) -> V3State:
    state: V3State = request.app.state.v3
    return state


State = Annotated[V3State, Depends(_state)]


async def _known(request: Request, state: V3State, *, counted: bool) -> Caller:
    given = request.state.fields.get("key")
    if not isinstance(given, str | int):
        raise NotAuthenticated
    key = await asyncio.to_thread(state.keys.check, str(given).strip(), counted=counted)
    return Caller(key.name)


async def _asker(request: Request, state: State) -> Caller:
    return await _known(request, state, counted=False)


async def _sender(request: Request, state: State) -> Caller:
    caller = await _known(request, state, counted=True)
    state.repeats.count(caller.name, request.url.path.rstrip("/"), request.state.fields)
    return caller


Asker = Annotated[Caller, Depends(_asker)]
"""Of what may be asked as often as one likes: fetch, status, lists. NotAuthenticated."""
Sender = Annotated[Caller, Depends(_sender)]
"""Of what makes work; NotAuthenticated, TooManyRequests, TooManyRepeats.

The framework asks for a caller before it looks at the fields of the body, so an answer about fields is only
given to who has a key and is not over the limit."""
