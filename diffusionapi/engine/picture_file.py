"""A picture as the bytes of its file, with its settings inside: the `parameters` text of a PNG, the EXIF
UserComment of a JPEG."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from PIL import Image, PngImagePlugin

from diffusionapi.infotext.files import ASCII, EXIF_IFD, SETTINGS, UNICODE, USER_COMMENT
from diffusionapi.infotext.grammar import EXACT

if TYPE_CHECKING:
    from diffusionapi.core.request import FileType

_LONG, _UNDEFINED = 4, 7
"""Types of TIFF's values."""
_EXIF_HEADER = 50
"""Bytes before the character code: `Exif\\0\\0`, and two TIFF directories of one entry each."""
_MOST = (65533 - _EXIF_HEADER - len(UNICODE)) // 2 * 2
"""Bytes of text that one APP1 segment holds, in whole UTF-16 units; no reader joins several segments."""
_CUT = "…"


def embed(picture: Image.Image, text: str | None, file_type: FileType, *, quality: int = 85) -> bytes:
    """The file of a picture that carries this text; None leaves it out."""
    buffer = io.BytesIO()
    text = text and _well_formed(text)
    if file_type == "png":
        chunks = PngImagePlugin.PngInfo()
        if text:
            chunks.add_text(SETTINGS, text)  # tEXt where Latin-1 suffices, else iTXt
        # Level 1 takes half the time of level 6 for 5 to 10 % more bytes.
        picture.save(buffer, "PNG", pnginfo=chunks, compress_level=1)
    else:
        picture.save(buffer, "JPEG", quality=quality, exif=_exif(_comment(text)) if text else b"")
    return buffer.getvalue()


def _well_formed(text: str) -> str:
    """Halves of surrogate pairs, which no file can hold, become question marks."""
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace").replace("\ufffd", "?")


def _comment(text: str) -> bytes:
    """UTF-16 as A1111 writes it; ASCII when only so it fits; else the prompts lose their end."""
    wide = text.encode("utf-16-be")
    if len(wide) <= _MOST:
        return UNICODE + wide
    if text.isascii() and len(text) <= _MOST:
        return ASCII + text.encode("ascii")
    prompts, _, settings = text.rpartition("\n")
    settings = settings.partition(f", {EXACT}: ")[0]
    end = f"{_CUT}\n{settings}".encode("utf-16-be")[:_MOST]
    kept = prompts.encode("utf-16-be")[: _MOST - len(end)].decode("utf-16-be", "ignore")
    return UNICODE + kept.encode("utf-16-be") + end


def _exif(comment: bytes) -> bytes:
    """One UserComment of type UNDEFINED. Pillow by itself writes type BYTE, which piexif, and so A1111's
    reader, cannot parse."""
    pointer = struct.pack(">HHLL", EXIF_IFD, _LONG, 1, 26)
    entry = struct.pack(">HHLL", USER_COMMENT, _UNDEFINED, len(comment), 44)
    header = b"Exif\0\0MM\0*" + struct.pack(">L", 8)
    return header + b"".join(b"\0\1" + one + b"\0\0\0\0" for one in (pointer, entry)) + comment
