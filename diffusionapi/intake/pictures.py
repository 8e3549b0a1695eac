"""The file of a stranger made anew: PNG, upright, opaque, of one kind of pixel, without metadata.

The library of pictures is first imported here, when the first one comes.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Literal

from PIL import Image, ImageOps

from diffusionapi.errors import BadPicture, PictureTooLarge
from diffusionapi.intake.header import NoPicture, OtherFormat, header_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["RGB", "L"]
"""Of the pixels: of pictures and of masks."""

_SLIMMEST = 100
"""Longer side by shorter side. What is slimmer is an attempt on whoever scales it to a shape."""
_SIGNATURE = 8
_NEEDED_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"})
"""Of a PNG. The others, texts and profiles, are often compressed, and inflate to any size."""
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an orientation (Exif 2.3, table 6)."""


def remade(content: bytes, kind: Kind, field: str, most_pixels: int, square: int | None = None) -> bytes:
    """The PNG of a picture; BadPicture, PictureTooLarge. No pixel is decoded before the size is known.

    With `square` it is of the largest square in the middle, scaled to so many pixels a side.
    """
    _check_header(content, field, most_pixels)
    try:
        with Image.open(io.BytesIO(_essence(content)), formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.width * picture.height > most_pixels:  # the library may have read another size than we
                raise _too_many(picture.width, picture.height, field, most_pixels)
            plain = _flat(_upright(picture)).convert(kind)
    except BadPicture:
        raise
    except Exception as error:
        # Decoders answer a damaged file with nearly any exception there is.
        raise BadPicture(field, "the picture is damaged or cut off") from error
    if square is not None:
        plain = ImageOps.fit(plain, (square, square), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    plain.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _check_header(content: bytes, field: str, most_pixels: int) -> None:
    try:
        header = header_of(content)
    except OtherFormat as problem:
        raise BadPicture(field, str(problem)) from problem
    except NoPicture as problem:
        raise BadPicture(field, f"no PNG, JPEG or WebP picture that can be read: {problem}") from problem
    long, short = max(header.width, header.height), min(header.width, header.height)
    if short == 0:
        raise BadPicture(field, "the picture has no pixels")
    if long * short > most_pixels:
        raise _too_many(header.width, header.height, field, most_pixels)
    if long > short * _SLIMMEST:
        raise BadPicture(
            field,
            f"the picture has {header.width}x{header.height} pixels; "
            f"one side may be {_SLIMMEST} times the other at most",
        )


def _too_many(width: int, height: int, field: str, most: int) -> PictureTooLarge:
    return PictureTooLarge(field, f"the picture has {width}x{height} pixels, more than {most} in all")


def _essence(content: bytes) -> bytes:
    """Of a PNG, only what makes its (first) picture; other files as they are."""
    if not content.startswith(b"\x89PNG"):
        return content
    return content[:_SIGNATURE] + b"".join(_needed(content))


def _needed(content: bytes) -> Iterator[memoryview]:
    view, at = memoryview(content), _SIGNATURE
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        if name in _NEEDED_CHUNKS:
            yield view[at : at + 12 + length]
        at += 12 + length


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()  # a PNG may tell its orientation after its pixels
    turn = _UPRIGHT.get(_orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def _orientation(picture: Image.Image) -> int:
    """1, upright, when it is not told or told in a way that cannot be read."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - broken metadata does not make a broken picture, and raises anything
        return 1


def _flat(picture: Image.Image) -> Image.Image:
    """Without transparency, white where there was any, and with 8 bits a channel."""
    if picture.mode.startswith("I"):  # 16 bits of grey, which `convert` would cut off at 255
        return picture.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if not picture.has_transparency_data:
        return picture
    picture = picture.convert("RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white
