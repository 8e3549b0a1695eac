"""Texts in files that Pillow, piexif and others wrote; those of our own files are in the engine's tests."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import piexif
import piexif.helper
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from diffusionapi.infotext.files import Texts, texts

SETTINGS = "a fox\nSteps: 1, Seed: 2, Size: 8x8"


def a_file(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "orange").save(buffer, kind, **options)
    return buffer.getvalue()


def a_png(**chunks: tuple[str, str, bool]) -> bytes:
    """A PNG with texts: kind of chunk, text, compressed."""
    found = PngImagePlugin.PngInfo()
    for name, (kind, text, compressed) in chunks.items():
        if kind == "iTXt":
            found.add_itxt(name, text, zip=compressed)
        else:
            found.add_text(name, text, zip=compressed)
    return a_file("PNG", pnginfo=found)


def piexif_comment(text: str) -> bytes:
    comment = piexif.helper.UserComment.dump(text, encoding="unicode")
    return bytes(piexif.dump({"Exif": {piexif.ExifIFD.UserComment: comment}}))


@pytest.mark.parametrize("kind", ["tEXt", "iTXt"])
@pytest.mark.parametrize("compressed", [False, True])
def test_every_kind_of_text_in_a_png_is_read(kind: str, compressed: bool) -> None:
    content = a_png(parameters=(kind, SETTINGS, compressed), Software=(kind, "a painter", compressed))
    assert texts(content) == Texts(SETTINGS, {"Software": "a painter"})


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("text", [SETTINGS, f"雨の灯台 🦊\n{SETTINGS}"])
def test_the_user_comment_of_a_jpeg_or_webp_is_read_as_a1111_writes_it(kind: str, text: str) -> None:
    assert texts(a_file(kind, exif=piexif_comment(text))) == Texts(text)


@pytest.mark.parametrize("coding", ["utf-16-be", "utf-16-le"])
def test_a_user_comment_that_pillow_wrote_is_read_in_either_order_of_bytes(coding: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + SETTINGS.encode(coding)
    assert texts(a_file("JPEG", exif=exif)) == Texts(SETTINGS)


def test_a_comment_of_a_jpeg_is_another_text() -> None:
    assert texts(a_file("JPEG", comment="by hand")) == Texts(None, {"comment": "by hand"})


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_may_say_nothing(kind: str) -> None:
    assert texts(a_file(kind)) == Texts()


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"a fox", b"RIFF1234WAVE"])
def test_what_is_no_picture_says_so(content: bytes) -> None:
    assert texts(content) is None


def test_a_compressed_text_that_claims_to_be_huge_costs_little() -> None:
    bomb = zlib.compress(bytes(2**28))
    chunk = b"parameters\0\0" + bomb
    length, check = struct.pack(">L", len(chunk)), zlib.crc32(b"zTXt" + chunk)
    content = b"\x89PNG\r\n\x1a\n" + length + b"zTXt" + chunk + struct.pack(">L", check)
    tracemalloc.start()
    try:
        found = texts(content)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert found.settings is not None
    assert len(found.settings) == 2**20
    assert most < 2**24


WHOLE = [
    a_png(parameters=("iTXt", SETTINGS, True), Title=("tEXt", "x", False)),
    a_file("JPEG", exif=piexif_comment(SETTINGS), comment="by hand"),
    a_file("WEBP", exif=piexif_comment(SETTINGS)),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))), st.integers(0, 700)
)
def test_damaged_files_are_read_as_far_as_they_go(
    content: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(content[:length])
    for place, byte in changes:
        if place < len(damaged):
            damaged[place] = byte
    texts(bytes(damaged))
