"""Who asks: the client that an authToken, or the client's own token, stands for."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials  # noqa: TC002 - FastAPI reads annotations

from diffusionapi.api.backlog.cycles import ENGINE
from diffusionapi.api.backlog.face import NO_ENGINE
from diffusionapi.api.backlog.state import BacklogState
from diffusionapi.api.dialect import HttpProblem
from diffusionapi.auth.clients import Client
from diffusionapi.errors import NotAuthenticated

_header = HTTPBearer(
    auto_error=False, description="The authToken of `POST /api/v1/public/client/login`, or the client token"
)


async def _state(request: Request) -> BacklogState:
    state: BacklogState = request.app.state.backlog
    return state


State = Annotated[BacklogState, Depends(_state)]


async def _client(
    state: State, given: Annotated[HTTPAuthorizationCredentials | None, Security(_header)]
) -> Client:
    if given is None:
        raise NotAuthenticated
    return await asyncio.to_thread(state.bearer, given.credentials)


Who = Annotated[Client, Depends(_client)]


async def _engine(engine: Annotated[str, Path(description=f"`{ENGINE}`")]) -> str:
    if engine != ENGINE:
        raise HttpProblem(404, NO_ENGINE)
    return engine


Engine = Annotated[str, Depends(_engine)]
