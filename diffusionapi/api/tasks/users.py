"""The routes of users and tokens, in both spellings that are known of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Form, Path, Request

from diffusionapi.api.tasks import schemas
from diffusionapi.api.tasks.caller import State, address_of
from diffusionapi.api.tasks.face import NO_SPACE, NO_STORAGE, TOO_LARGE, failures, missing, tasks_router
from diffusionapi.auth.accounts import PUBLIC
from diffusionapi.errors import BadJson, NotAllowed

if TYPE_CHECKING:
    from diffusionapi.api.tasks.state import TaskState

router = tasks_router()

_WRONG = "Wrong user or password"
_OFTEN = "Too many attempts; `Retry-After` says when to try again"
_INVALID = "A field is missing or wrong"
_LOG_IN = failures(_401=_WRONG, _413=TOO_LARGE, _422=_INVALID, _429=_OFTEN, _503=NO_STORAGE)
_SIGN_UP = failures(
    _403="Signup is disabled",
    _409="There is a user of this name",
    _413=TOO_LARGE,
    _422=_INVALID,
    _429=_OFTEN,
    _503=NO_STORAGE,
    _507=NO_SPACE,
)
Name = Annotated[str, Path(description="The user's name")]


def _documented(*fields: str, in_query: bool = True) -> dict[str, Any]:
    """Fields that may come as JSON, as a form or in the query; the framework knows one of these at a time."""
    schema = {
        "type": "object",
        "properties": {one: {"type": "string", "description": _MEANINGS[one]} for one in fields},
        "required": list(fields),
    }
    example = {one: _EXAMPLES[one] for one in fields}
    content = {
        kind: {"schema": schema, "example": example}
        for kind in ("application/json", "application/x-www-form-urlencoded")
    }
    query = [
        {
            "name": one,
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": f"{_MEANINGS[one]}; better sent in the body, since URLs end in logs",
        }
        for one in fields
    ]
    found: dict[str, Any] = {"requestBody": {"content": content, "required": False}}
    return found | ({"parameters": query} if in_query else {})


_MEANINGS = {"username": "The user's name", "password": "The user's password"}
_EXAMPLES = {"username": "bob", "password": "correct horse battery staple"}


@router.post("/token", summary="Log in", responses=_LOG_IN)
async def create_token(
    request: Request,
    state: State,
    username: Annotated[str, Form(description="The user's name")],
    password: Annotated[str, Form(description="The user's password")],
    grant_type: Annotated[
        str | None, Form(pattern="^password$", description="OAuth 2: password, or none")
    ] = None,
    scope: Annotated[str, Form(description="OAuth 2; has no effect")] = "",
    client_id: Annotated[str | None, Form(description="OAuth 2; has no effect; default: none")] = None,
    client_secret: Annotated[str | None, Form(description="OAuth 2; has no effect; default: none")] = None,
) -> schemas.AuthToken:
    """A token is good for 240 minutes."""
    del grant_type, scope, client_id, client_secret
    return await _token(state, username, password, request)


@router.post("/token/all", summary="A token for anybody", responses=failures(_403="Public access is off"))
async def create_public_token(state: State) -> schemas.AuthToken:
    if not state.accounts.public:
        raise NotAllowed("Public token is disabled")
    return schemas.AuthToken(access_token=state.tokens.issue(PUBLIC))


@router.post(
    "/token/{username}",
    summary="Log in, by the name in the path",
    responses=_LOG_IN,
    openapi_extra=_documented("password"),
)
async def create_token_for(request: Request, state: State, username: Name) -> schemas.AuthToken:
    password = (await _fields(request, "password"))["password"]
    return await _token(state, username, password, request)


async def _token(state: TaskState, name: str, password: str, request: Request) -> schemas.AuthToken:
    await state.accounts.log_in(name, password, address_of(request))
    return schemas.AuthToken(access_token=state.tokens.issue(name))


@router.post(
    "/user", summary="Sign up", responses=_SIGN_UP, openapi_extra=_documented("username", "password")
)
async def create_user(request: Request, state: State) -> schemas.User:
    given = await _fields(request, "username", "password")
    await state.accounts.sign_up(given["username"], given["password"], address_of(request))
    return schemas.User(username=given["username"])


@router.post(
    "/user/{username}",
    summary="Sign up, by the name in the path",
    responses=_SIGN_UP,
    openapi_extra=_documented("password"),
)
async def create_user_named(request: Request, state: State, username: Name) -> schemas.User:
    password = (await _fields(request, "password"))["password"]
    await state.accounts.sign_up(username, password, address_of(request))
    return schemas.User(username=username)


async def _fields(request: Request, *names: str) -> dict[str, str]:
    """These fields of a body in JSON or as a form, or of the query; the body goes first."""
    given = dict(request.query_params) | await _body(request)
    absent = [one for one in names if not isinstance(given.get(one), str)]
    if absent:
        raise missing("query" if request.query_params or absent == ["password"] else "body", *absent)
    return {one: given[one] for one in names}


async def _body(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").startswith("multipart/"):
        async with request.form() as form:
            return dict(form)
    body = await request.body()
    if not body.lstrip().startswith(b"{"):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        found: dict[str, Any] = json.loads(body)
    except (ValueError, RecursionError):
        raise BadJson("The body is not valid JSON") from None
    return found
