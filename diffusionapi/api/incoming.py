"""What every dialect takes from what comes in: the service, and the token that was sent along."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection  # noqa: TC002 - FastAPI reads annotations at run time

from diffusionapi.service import Service

# A coroutine: FastAPI would send a plain function through its threads, at twice a poll's cost.


async def _core(connection: HTTPConnection) -> Service:
    service: Service = connection.app.state.service
    return service


Core = Annotated[Service, Depends(_core)]


def token_of(connection: HTTPConnection) -> str | None:
    """The token that came with a request or a handshake; the header goes before the query, which is for
    browsers: those cannot set headers on links and sockets."""
    scheme, _, token = connection.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return connection.query_params.get("token") or None
