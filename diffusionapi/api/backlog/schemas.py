"""What goes over the wire of the backlog dialect, field by field and in its order."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from diffusionapi.api.fields import Float, Int, RequestModel
from diffusionapi.errors import BadRequest

MAX_SEED = 2**32 - 1
MAX_PICTURES = 4
_SIDE = "pixels, a multiple of 64; a given picture is cut and scaled to it"
_URL = re.compile(r"https?://\S+|/\S+", re.IGNORECASE)
_DOMAIN = re.compile(r"(https?://)?(\[[0-9a-f:.]+\]|[^\s/?#@:\[\]]+)(:\d{1,5})?(/[^\s?#]*)?", re.IGNORECASE)
_URI = re.compile(r"[^\s#]*")


def _not_blank(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("must not be empty")
    return value


def _empty_is_absent(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _a_url(value: object) -> object:
    value = _empty_is_absent(value)
    if isinstance(value, str) and not _URL.fullmatch(value.strip()):
        raise ValueError("must be a URL that begins with https:// or http://")
    return value.strip() if isinstance(value, str) else value


def _a_domain(value: object) -> object:
    if isinstance(value, str) and value.strip() and not _DOMAIN.fullmatch(value.strip()):
        raise ValueError("must be a host, as in example.com, https://example.com or example.com:8080")
    return value.strip() if isinstance(value, str) else value


def _a_uri(value: object) -> object:
    if isinstance(value, str) and ("://" in value or not _URI.fullmatch(value.strip())):
        raise ValueError("must be a path on the domain, as in /notify")
    return value.strip() if isinstance(value, str) else value


class DiffusionRequest(RequestModel):
    """Numbers may come as strings. What is not listed is let pass and has no effect."""

    word: Annotated[str, BeforeValidator(_not_blank)] = Field(description="What the picture shows")
    url_upload: Annotated[str | None, BeforeValidator(_a_url)] = Field(
        None, description="URL of a PNG, JPEG or WebP to begin with; default: none, from the words alone"
    )
    width: Int = Field(320, ge=64, le=1024, multiple_of=64, description=f"Width in {_SIDE}")
    height: Int = Field(320, ge=64, le=1024, multiple_of=64, description=f"Height in {_SIDE}")
    steps: Int = Field(20, ge=1, le=200, description="Sampling steps")
    seed: Int = Field(1, ge=0, le=MAX_SEED, description="Of the first picture; the others have the next ones")
    strength: Float = Field(0.75, ge=0, le=1, description="How much of the given picture may change")
    guidance: Float = Field(7.5, ge=0.1, le=12, description="How closely it follows the words")
    cimg: Int = Field(1, ge=1, le=MAX_PICTURES, description="How many pictures")
    model: Annotated[str | None, BeforeValidator(_empty_is_absent)] = Field(
        None, description="A model's name; default, and for `sd-v1-4.ckpt`: the server's own"
    )


DIFFUSION_EXAMPLE: dict[str, Any] = {
    "word": "gold coin from rome 100 BC, full size",
    "width": 320,
    "height": 320,
    "steps": 20,
    "seed": 15366,
    "cimg": 1,
}


class NothingToLogInBy(BadRequest):
    """Says what the documents of this API say."""

    code = "nothing_to_log_in_by"

    def __init__(self, field: str) -> None:
        super().__init__(field, "is required")
        self.sentence = "Token required"


class Login(BaseModel):
    token: str = Field(description="The client's token")
    secret: str = Field(description="The client's secret")

    @model_validator(mode="before")
    @classmethod
    def _is_complete(cls, body: object) -> object:
        if isinstance(body, dict):
            for field in ("token", "secret"):
                if not isinstance(body.get(field), str) or not body[field]:
                    raise NothingToLogInBy(field)
        return body


LOGIN_EXAMPLE: dict[str, Any] = {"token": "5f0c4d1e…", "secret": "b7e1…"}


class NotifySettings(RequestModel):
    domain: Annotated[str | None, BeforeValidator(_a_domain)] = Field(
        None, description="Where the client's server is; empty: nowhere; default: as it was"
    )
    uriNotify: Annotated[str | None, BeforeValidator(_a_uri)] = Field(  # noqa: N815 - the wire's
        None, description="Path there that is told how far a request is; empty: none; default: as it was"
    )
    uriUpload: Annotated[str | None, BeforeValidator(_a_uri)] = Field(  # noqa: N815 - the wire's
        None, description="Path there that pictures are sent to; empty: none; default: as it was"
    )


NOTIFY_EXAMPLE: dict[str, Any] = {
    "domain": "https://example.com",
    "uriNotify": "/notify",
    "uriUpload": "/upload",
}


class BacklogRefused(BaseModel):
    data: None = None
    status: int = Field(description="As that of the answer")
    statusText: str = Field(description="What went wrong")  # noqa: N815 - the wire's
    message: str = Field(description="The same")


class Session(BaseModel):
    token: str = Field(description="The client's token")
    authToken: str = Field(description="For `Authorization: Bearer`")  # noqa: N815 - the wire's
    duration: str = Field(description="How long the authToken is good for")


class SessionAnswer(BaseModel):
    data: Session


class BacklogUser(BaseModel):
    username: str = Field(description="The client's domain or, without one, its name")


class ClientRecord(BaseModel):
    token: str
    domain: str
    uriNotify: str  # noqa: N815 - the wire's
    uriUpload: str  # noqa: N815 - the wire's
    created_at: str
    lastUpdated_at: str  # noqa: N815 - the wire's
    validated_at: str | None = Field(description="When its server first acknowledged a notification")


class ClientAnswer(BaseModel):
    data: ClientRecord


class ClientAndUser(ClientRecord):
    user: BacklogUser


class ClientAndUserAnswer(BaseModel):
    data: ClientAndUser


class Added(BaseModel):
    uid: int = Field(description="The request's number: when it was added, in ms since 1970")
    created_at: str


class AddedAnswer(BaseModel):
    data: Added


class Params(BaseModel):
    username: str
    word: str
    width: int
    height: int
    model: str
    cimg: int
    guidance: float
    strength: float
    seed: int
    steps: int
    url: str | None = Field(description="As `url_upload` was given")
    uid_backlog: int
    client_token: str


class MadeFile(BaseModel):
    filename: str = Field(description="Where the picture is, for JOB_TTL of the server; a PNG")
    cycle: int = Field(description="Which picture of the request, from 0")


class Delivery(BaseModel):
    cycle: int
    what: str = Field(description="`stage` and its number, or `upload`")
    url: str
    at: str
    attempt: int
    status: int | None = Field(description="That was answered; null when there was no answer")
    error: str = Field(description="Why there was none")
    seconds: float


class RequestRecord(BaseModel):
    client_token: str
    uid_backlog: int
    ai_engine: str
    params: Params
    started_at: str | None = Field(description="null while it waits")
    response: list[MadeFile] = Field(description="What is made so far")
    cost_in_sec: int = Field(description="That its pictures took so far, together")
    ended_at: str | None = Field(description="null until nothing more comes")
    error: str | None = Field(
        None, description="Why a picture is missing; only then", exclude_if=lambda one: one is None
    )
    deliveries: list[Delivery] = Field(description="Every attempt to call the client's server")


class RequestAnswer(BaseModel):
    data: RequestRecord


class ConfigAnswer(BaseModel):
    data: dict[str, Any] = Field(description="Parameters of the engine, as its user interfaces have them")
