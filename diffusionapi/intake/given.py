"""What a client wrote where a picture belongs: the bytes of a file as base64 or a data URL, or an address."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from diffusionapi.errors import BadPicture, PictureTooLarge

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:")
_URLSAFE = str.maketrans("-_", "+/")
_PERCENT = 3
"""Characters that one byte may take in a data URL."""


def is_url(given: str) -> bool:
    """Base64 has no colon, so whatever begins as a URL is one, of whatever scheme."""
    return _SCHEME.match(given) is not None and not is_data_url(given)


def is_data_url(given: str) -> bool:
    return given[:5].lower() == "data:"


def file_in(given: str, field: str, limit: int) -> bytes:
    """The bytes that a data URL (RFC 2397) or base64 (RFC 4648, of either alphabet) stands for.

    Nothing is decoded that would come to more than `limit` bytes.
    """
    if not is_data_url(given):
        return _base64(given, field, limit)
    head, comma, body = given.partition(",")
    if not comma:
        raise BadPicture(field, "a data URL has a comma before its data")
    if head.lower().rstrip().endswith(";base64"):
        if "%" in body:
            body = _unquoted(body, field, limit * 2).decode("latin-1")
        return _base64(body, field, limit)
    return within(_unquoted(body, field, limit), field, limit)


def within(content: bytes, field: str, limit: int) -> bytes:
    if not content:
        raise BadPicture(field, "no picture is given")
    if len(content) > limit:
        raise too_large(field, limit)
    return content


def too_large(field: str, limit: int) -> PictureTooLarge:
    return PictureTooLarge(field, f"the picture is larger than {limit // 2**20} MiB")


def _unquoted(body: str, field: str, limit: int) -> bytes:
    if len(body) > _PERCENT * limit:
        raise too_large(field, limit)
    return unquote_to_bytes(body.encode("utf-8", "replace"))


def _base64(text: str, field: str, limit: int) -> bytes:
    if len(text) > 2 * limit + 1024:  # a third more for base64 itself, and room for line ends
        raise too_large(field, limit)
    plain = "".join(text.split()).rstrip("=").translate(_URLSAFE)
    if len(plain) * 3 // 4 > limit:
        raise too_large(field, limit)
    try:
        content = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadPicture(field, "this is neither base64 nor a URL of a picture") from None
    return within(content, field, limit)
