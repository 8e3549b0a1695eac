"""Bodies as clients send them: JSON, forms of both kinds, whatever they are called, as one JSON object."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fastapi import Request

from diffusionapi.api.dialect import as_json_headers
from diffusionapi.errors import BadJson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import UploadFile
    from starlette.types import Message, Receive

Fields = dict[str, Any]

_NOTHING = ("", "null")
"""What clients write where they have nothing to say."""
_BOUNDARY = re.compile(rb"\s*--([0-9A-Za-z'()+_,./:=? -]{1,70})\r?\n")
"""The first line of a form in several parts: what is between them (RFC 2046 5.1.1)."""
_LISTED = re.compile(r"(.+)\[\d*\]")
"""A field of a form that is one of several: `images[]`, `images[0]`."""


async def read(request: Request) -> Request:
    """The request with its body as JSON. Its fields are in `request.state.fields`; BadJson."""
    fields = tidied(await _fields(request))
    request.state.fields = fields
    return Request(as_json_headers(request.scope), _once(_as_json(fields), request))


def _once(content: bytes, request: Request) -> Receive:
    """What receives this as the body, and then what else comes of the request."""
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return await request.receive()
        sent = True
        return {"type": "http.request", "body": content, "more_body": False}

    return receive


def _as_json(fields: Fields) -> bytes:
    try:
        return json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no answer could hold
        raise BadJson("The body holds half a character") from None


async def _fields(request: Request) -> Fields:
    """What a body is, is told from itself: what it is called is often wrong."""
    body = await request.body()
    if (found := _BOUNDARY.match(body)) is None:
        return fields_of(body)
    most = request.app.state.service.settings.max_body_mb * 2**20  # the whole is within it
    async with _as_parts(request, body.lstrip(), found[1].rstrip()).form(max_part_size=most) as form:
        return _gathered([(name, await _text(value)) for name, value in form.multi_items()])


def _as_parts(request: Request, body: bytes, boundary: bytes) -> Request:
    kind = (b"content-type", b'multipart/form-data; boundary="%s"' % boundary)
    headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
    return Request({**request.scope, "headers": [*headers, kind]}, _once(body, request))


async def _text(value: UploadFile | str) -> str:
    """Of a file, base64: pictures are taken as that, too."""
    if isinstance(value, str):
        return value
    return base64.b64encode(await value.read()).decode()


def fields_of(body: bytes) -> Fields:
    """Of a body in JSON or as a form."""
    try:
        text = body.decode("utf-8-sig")
        if "=" in text and not text.lstrip().startswith(("{", "[", '"')):
            return _gathered(parse_qsl(text.strip(), keep_blank_values=True, errors="strict"))
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BadJson("The body is not valid JSON") from None
    if not isinstance(found, dict):
        raise BadJson("The body must be a JSON object")
    return found


def _gathered(pairs: Iterable[tuple[str, str]]) -> Fields:
    """A name that comes more than once, or with brackets, has a list of values."""
    found: Fields = {}
    for name, value in pairs:
        listed = _LISTED.fullmatch(name)
        name = listed[1] if listed else name
        if name in found or listed:
            before = found.get(name, [])
            found[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            found[name] = value
    return found


def tidied(fields: Fields) -> Fields:
    """Without the fields that hold nothing."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and not (isinstance(value, str) and value.strip().lower() in _NOTHING)
    }
