"""A file that a server holds as bytes, answered as a file on a disk would be: ranges, ETag, 304."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from typing import TYPE_CHECKING

from fastapi import Response

if TYPE_CHECKING:
    from fastapi import Request

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
"""One range. RFC 9110, 14.2: a server may ignore any it does not like, and of several this one does."""


def content_answer(content: bytes, name: str, request: Request) -> Response:
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    if _named(request.headers.get("If-None-Match", ""), etag):
        return Response(status_code=304, headers=headers)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    asked = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if asked is None or asked[0] == "bytes=-" or request.headers.get("If-Range", etag) != etag:
        return Response(content, headers=headers, media_type=kind)
    start, stop = _part(asked[1], asked[2], len(content))
    if start >= stop:
        headers["Content-Range"] = f"bytes */{len(content)}"
        return Response("Range not satisfiable", 416, headers, media_type="text/plain")
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
    return Response(content[start:stop], 206, headers, media_type=kind)


def _part(first: str, last: str, size: int) -> tuple[int, int]:
    """From where up to where; without a first byte it is so many at the end."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size


def _named(given: str, etag: str) -> bool:
    """Of If-None-Match: a list of tags, weak or not, or a star."""
    tags = [one.strip().removeprefix("W/") for one in given.split(",")]
    return etag in tags or "*" in tags
