"""Format and size of a picture file, read from its first bytes before any library is let near it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Format = Literal["PNG", "JPEG", "WEBP"]

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF markers: those of this range that are no tables (ITU T.81, table B.1)."""
_START_OF_SCAN, _END = 0xDA, 0xD9
_ALONE = frozenset({0x01, 0xD8})
"""Markers with no segment behind them: TEM and SOI."""
_MOST_SCANS = 64
"""Progressive JPEGs have about ten; each costs a pass over the whole picture, even an empty one."""
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
"""The next marker after the data of a scan: neither a stuffed zero nor a restart (T.81, B.1.1.2)."""


@dataclass(frozen=True, slots=True)
class Header:
    format: Format
    width: int
    height: int


class NoPicture(ValueError):
    """The bytes are no picture of a format we take."""


class OtherFormat(NoPicture):
    """… nor do they begin as one."""

    def __init__(self) -> None:
        super().__init__("this is no PNG, JPEG or WebP")


def header_of(content: bytes) -> Header:
    """What the bytes say they are. NoPicture, too, when a JPEG has more scans than one needs."""
    try:
        if content.startswith(_PNG):
            return Header("PNG", *struct.unpack_from(">II", content, 16))
        if content.startswith(b"\xff\xd8\xff"):
            return _jpeg(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return Header("WEBP", *_webp(content))
    except (struct.error, IndexError):
        raise NoPicture("its header is cut off") from None
    raise OtherFormat


def _jpeg(content: bytes) -> Header:
    found, scans = None, 0
    for marker, at in _segments(content):
        if marker in _FRAMES:
            if found is not None:
                raise NoPicture("it has two frames")
            height, width = struct.unpack_from(">HH", content, at + 3)
            found = Header("JPEG", width, height)
        scans += marker == _START_OF_SCAN
        if scans > _MOST_SCANS:
            raise NoPicture(f"it has more than {_MOST_SCANS} scans")
    if found is None:
        raise NoPicture("it has no frame")
    return found


def _segments(content: bytes) -> Iterator[tuple[int, int]]:
    """The markers of the first picture, each with the place of its segment's length."""
    at = 2
    while (match := _MARKER.search(content, at)) and match[1][0] != _END:
        marker, at = match[1][0], match.end()
        if marker in _ALONE:
            continue
        yield marker, match.end()
        if match.end() + 2 > len(content):
            return
        at = match.end() + struct.unpack_from(">H", content, match.end())[0]


def _webp(content: bytes) -> tuple[int, int]:
    """Of the canvas, by the three kinds of first chunk (RFC 9649, 2.5 to 2.7)."""
    kind = content[12:16]
    if kind == b"VP8X":
        wide = struct.unpack_from("<I", content, 24)[0] & 0xFFFFFF
        high = struct.unpack_from("<I", content[:30] + b"\0", 27)[0] & 0xFFFFFF
        return wide + 1, high + 1
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise NoPicture("its first chunk is of an unknown kind")
