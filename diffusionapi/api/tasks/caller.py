"""Who asks: the bearer of a token, or anybody where that is allowed."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyQuery, OAuth2PasswordBearer

from diffusionapi.api.incoming import token_of
from diffusionapi.api.tasks.state import TaskState
from diffusionapi.auth.accounts import PUBLIC
from diffusionapi.errors import NotAuthenticated

_header = OAuth2PasswordBearer("token", auto_error=False, description="A token of `POST /token`")
_query = APIKeyQuery(name="token", auto_error=False, description="The same, for links and sockets")


@dataclass(frozen=True, slots=True)
class Caller:
    """`session` tells tokens apart and gives none of them away; None for who came without one."""

    name: str
    session: str | None


async def _state(request: Request) -> TaskState:
    state: TaskState = request.app.state.tasks
    return state


State = Annotated[TaskState, Depends(_state)]


async def bearer(state: TaskState, token: str) -> Caller:
    """Who holds this token; NotAuthenticated."""
    name = await asyncio.to_thread(_holder, state, token)
    if name is None:
        raise NotAuthenticated
    return Caller(name, hashlib.sha256(token.encode()).hexdigest())


def _holder(state: TaskState, token: str) -> str | None:
    name = state.tokens.name_in(token)
    return name if name is not None and state.accounts.knows(name) else None


async def caller_of(request: Request, state: TaskState) -> Caller:
    """Who sent a request; NotAuthenticated."""
    token = token_of(request)
    if token is not None:
        return await bearer(state, token)
    if not state.accounts.public:
        raise NotAuthenticated
    return Caller(PUBLIC, None)


async def _caller(
    request: Request,
    state: State,
    _: Annotated[str | None, Security(_header)],
    __: Annotated[str | None, Security(_query)],
) -> Caller:
    return await caller_of(request, state)


Who = Annotated[Caller, Depends(_caller)]


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""
