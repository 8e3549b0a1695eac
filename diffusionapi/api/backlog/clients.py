"""The routes of clients: log in, who am I, where am I called."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

from fastapi import Body

from diffusionapi.api.backlog import schemas
from diffusionapi.api.backlog.caller import State, Who  # noqa: TC001 - FastAPI reads annotations
from diffusionapi.api.backlog.face import (
    BAD_REQUEST,
    BAD_TOKEN,
    NO_DEMO,
    NO_SPACE,
    NO_STORAGE,
    TOO_LARGE,
    backlog_router,
    failures,
)
from diffusionapi.api.backlog.record import iso
from diffusionapi.api.backlog.state import DURATION, BacklogState, username
from diffusionapi.api.dialect import HttpProblem
from diffusionapi.api.incoming import Core  # noqa: TC001 - FastAPI reads annotations

if TYPE_CHECKING:
    from diffusionapi.auth.clients import Client

router = backlog_router()


@router.post(
    "/api/v1/public/client/login",
    status_code=201,
    summary="Log in",
    response_description="The authToken",
    responses=failures(
        _400="Token or secret is missing",
        _401="The secret is wrong",
        _404="There is no such client",
        _413=TOO_LARGE,
        _503=NO_STORAGE,
    ),
)
async def log_in(
    state: State,
    body: Annotated[
        schemas.Login,
        Body(openapi_examples={"client": {"summary": "A client", "value": schemas.LOGIN_EXAMPLE}}),
    ],
) -> schemas.SessionAnswer:
    """An authToken is good for 72 hours."""
    client = await asyncio.to_thread(state.clients.check, body.token, body.secret)
    return _session(state, client)


@router.post(
    "/api/v1/public/client/demo",
    status_code=201,
    summary="Log in as anybody",
    response_description="The authToken",
    responses=failures(_403="BACKLOG_DEMO is off", _503=NO_STORAGE, _507=NO_SPACE),
)
async def log_in_as_demo(core: Core, state: State) -> schemas.SessionAnswer:
    """With `BACKLOG_DEMO`: all who come so are one client, and see each other's requests."""
    if not core.settings.backlog_demo:
        raise HttpProblem(403, NO_DEMO)
    return _session(state, await asyncio.to_thread(state.demo))


def _session(state: BacklogState, client: Client) -> schemas.SessionAnswer:
    session = schemas.Session(token=client.token, authToken=state.session(client), duration=DURATION)
    return schemas.SessionAnswer(data=session)


@router.get(
    "/api/v1/private/client",
    summary="Who am I?",
    responses=failures(_400=BAD_TOKEN, _503=NO_STORAGE),
)
async def show_client(client: Who) -> schemas.ClientAndUserAnswer:
    user = schemas.BacklogUser(username=username(client))
    return schemas.ClientAndUserAnswer(data=schemas.ClientAndUser(**_record(client).model_dump(), user=user))


@router.patch(
    "/api/v1/private/client/notify",
    summary="Where the client's server is called",
    responses=failures(_400=BAD_REQUEST, _413=TOO_LARGE, _503=NO_STORAGE, _507=NO_SPACE),
)
async def change_notify(
    state: State,
    client: Who,
    body: Annotated[
        schemas.NotifySettings,
        Body(openapi_examples={"server": {"summary": "A server", "value": schemas.NOTIFY_EXAMPLE}}),
    ],
) -> schemas.ClientAnswer:
    """What is not named stays. For requests from now on; those before are told where they were."""

    def change() -> Client:
        return state.clients.change(
            client.token, domain=body.domain, uri_notify=body.uriNotify, uri_upload=body.uriUpload
        )

    return schemas.ClientAnswer(data=_record(await asyncio.to_thread(change)))


def _record(client: Client) -> schemas.ClientRecord:
    return schemas.ClientRecord(
        token=client.token,
        domain=client.domain,
        uriNotify=client.uri_notify,
        uriUpload=client.uri_upload,
        created_at=iso(client.created),
        lastUpdated_at=iso(client.updated),
        validated_at=None if client.validated is None else iso(client.validated),
    )
