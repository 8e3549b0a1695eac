"""The texts inside a PNG, JPEG or WebP, found by walking the file's chunks; no pixel is decoded.

The settings are the `parameters` text of a PNG, and the EXIF UserComment of a JPEG or WebP.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = "parameters"
EXIF_IFD, USER_COMMENT = 0x8769, 0x9286
UNICODE, ASCII = b"UNICODE\0", b"ASCII\0\0\0"
"""The character code that begins a UserComment (Exif 2.3, table 9)."""

_LONGEST = 2**20
"""Characters that are read of one text: a compressed one may claim to be any number of them."""
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_START_OF_SCAN, _END_OF_IMAGE, _APP1, _COMMENT = 0xDA, 0xD9, 0xE1, 0xFE
_EXIF = b"Exif\0\0"


@dataclass(frozen=True, slots=True)
class Texts:
    """`others` are those that are not the settings, under their names in the file."""

    settings: str | None = None
    others: dict[str, str] = field(default_factory=dict)


def texts(content: bytes) -> Texts | None:
    """What a file says, as far as it is whole; None for one that is no PNG, JPEG or WebP."""
    if content.startswith(_PNG):
        found = dict(_png(content))
    elif content.startswith(_JPEG):
        found = dict(_jpeg(content))
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        found = dict(_webp(content))
    else:
        return None
    return Texts(found.pop(SETTINGS, None), found)


def _png(content: bytes) -> Iterator[tuple[str, str]]:
    place = len(_PNG)
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">L4s", content, place)
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            name, _, rest = content[place + 8 : place + 8 + length].partition(b"\0")
            with suppress(ValueError, zlib.error):
                yield name.decode("latin-1"), _png_text(kind, rest)
        place += 12 + length


def _png_text(kind: bytes, rest: bytes) -> str:
    if kind == b"tEXt":
        return rest[:_LONGEST].decode("latin-1")
    if kind == b"zTXt":  # the compression method, of which there is one, and the text
        return zlib.decompressobj().decompress(rest[1:], _LONGEST).decode("latin-1")
    compressed, _, rest = rest[:1], rest[1:2], rest[2:]
    _language, _translated, text = rest.split(b"\0", 2)
    if compressed == b"\1":
        text = zlib.decompressobj().decompress(text, _LONGEST)
    return text[:_LONGEST].decode("utf-8", "replace")


def _jpeg(content: bytes) -> Iterator[tuple[str, str]]:
    place = len(_JPEG)
    while place + 4 <= len(content) and content[place] == 0xFF:
        kind = content[place + 1]
        if kind == 0xFF:  # padding
            place += 1
            continue
        if kind in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        (length,) = struct.unpack_from(">H", content, place + 2)
        segment = content[place + 4 : place + 2 + length]
        if kind == _APP1 and segment.startswith(_EXIF):
            yield from _exif(segment.removeprefix(_EXIF))
        elif kind == _COMMENT:
            yield "comment", segment.decode("utf-8", "replace")
        place += 2 + length


def _webp(content: bytes) -> Iterator[tuple[str, str]]:
    place = 12
    while place + 8 <= len(content):
        kind, length = struct.unpack_from("<4sL", content, place)
        if kind == b"EXIF":
            yield from _exif(content[place + 8 : place + 8 + length].removeprefix(_EXIF))
        place += 8 + length + length % 2


def _exif(tiff: bytes) -> Iterator[tuple[str, str]]:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return
    with suppress(struct.error):
        (first,) = struct.unpack_from(order + "L", tiff, 4)
        _, pointer = _entry(tiff, order, first, EXIF_IFD)
        if pointer is None:
            return
        length, place = _entry(tiff, order, pointer, USER_COMMENT)
        if place is not None:
            yield SETTINGS, _comment(tiff[place : place + length])


def _entry(tiff: bytes, order: str, directory: int, wanted: int) -> tuple[int, int | None]:
    """Count and value of an entry of a TIFF directory: of longer values, the value says where they stand."""
    (entries,) = struct.unpack_from(order + "H", tiff, directory)
    for place in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, _, count, value = struct.unpack_from(order + "HHLL", tiff, place)
        if tag == wanted:
            return count, value
    return 0, None


def _comment(comment: bytes) -> str:
    code, body = comment[:8], comment[8:]
    if code != UNICODE:
        return (body if code == ASCII else comment).decode("utf-8", "replace")
    # The standard leaves the order of bytes open. Settings are mostly English, whose first bytes are zeros.
    big = body[::2].count(0) >= body[1::2].count(0)
    return body.decode("utf-16-be" if big else "utf-16-le", "replace")
