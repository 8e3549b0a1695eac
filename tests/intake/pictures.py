"""Picture files for tests: ordinary ones, and ones made to harm."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def a_picture(size: tuple[int, int] = (48, 32), mode: str = "RGB") -> Image.Image:
    """Red above, blue below, and green in the left upper corner, so that every turn of it is another."""
    picture = Image.new("RGB", size, "red")
    picture.paste("blue", (0, size[1] // 2, size[0], size[1]))
    picture.paste("lime", (0, 0, size[0] // 4, size[1] // 4))
    return picture.convert(mode)


def a_file(picture: Image.Image | None = None, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (picture or a_picture()).save(buffer, kind, **options)
    return buffer.getvalue()


def opened(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png), formats=("PNG",))
    picture.load()
    return picture


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    """Behind the header, where texts and profiles are."""
    return png[:33] + chunk(name, body) + png[33:]


def claiming(width: int, height: int) -> bytes:
    """A PNG with the data of one pixel that says it is larger."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg_claiming(width: int, height: int) -> bytes:
    content = bytearray(a_file(kind="JPEG"))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def webp_claiming(width: int, height: int) -> bytes:
    """Of the extended kind, whose canvas says the size."""
    content = bytearray(a_file(a_picture(mode="RGBA"), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"))
    assert content[12:16] == b"VP8X"
    content[24:30] = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return bytes(content)


def jpeg_of_scans(count: int) -> bytes:
    """A progressive one with the same scan over and over."""
    content = a_file(a_picture((256, 256)), "JPEG", progressive=True)
    end = content.rindex(b"\xff\xda")
    return content[:end] + content[end:-2] * count + content[-2:]
