from __future__ import annotations

import io
from typing import TYPE_CHECKING

import piexif
import piexif.helper
import pytest
from PIL import Image

from diffusionapi.engine.picture_file import embed
from diffusionapi.infotext.files import texts
from diffusionapi.infotext.grammar import Facts, read, write
from tests.factories import a_request

if TYPE_CHECKING:
    from diffusionapi.core.request import FileType

SETTINGS = "Steps: 1, Seed: 2, Size: 8x8"
TEXTS = [f"a cat\n{SETTINGS}", f"雨の灯台 🦊 ü\n{SETTINGS}", "é", "x" * 5000]
FILE_TYPES: tuple[FileType, ...] = ("png", "jpg")
LIMIT = 32737
"""UTF-16 units in the longest UserComment."""


def a_picture() -> Image.Image:
    return Image.linear_gradient("L").convert("RGB").resize((64, 48))


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def extract(content: bytes) -> str | None:
    found = texts(content)
    assert found is not None
    return found.settings


def as_piexif_reads(content: bytes) -> str:
    """What A1111 sees: it reads JPEGs with piexif."""
    comment = piexif.load(content)["Exif"][piexif.ExifIFD.UserComment]
    return str(piexif.helper.UserComment.load(comment))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("file_type", FILE_TYPES)
def test_the_text_comes_back_out_of_the_file(text: str, file_type: FileType) -> None:
    assert extract(embed(a_picture(), text, file_type)) == text


@pytest.mark.parametrize("text", TEXTS)
def test_a1111s_ways_of_reading_find_the_text(text: str) -> None:
    assert as_piexif_reads(embed(a_picture(), text, "jpg")) == text
    with Image.open(io.BytesIO(embed(a_picture(), text, "png"))) as picture:
        assert picture.info["parameters"] == text


def test_the_picture_is_what_it_would_be_without_the_text() -> None:
    for file_type in FILE_TYPES:
        with_text, without = (opened(embed(a_picture(), text, file_type)) for text in ("a cat", None))
        assert with_text.tobytes() == without.tobytes()
        assert with_text.size == (64, 48)
    assert opened(embed(a_picture(), "a", "png")).tobytes() == a_picture().tobytes()


def test_a_picture_may_carry_nothing() -> None:
    for file_type in FILE_TYPES:
        assert extract(embed(a_picture(), None, file_type)) is None


def test_quality_makes_a_jpeg_larger() -> None:
    noise = Image.effect_noise((64, 64), 80).convert("RGB")
    assert len(embed(noise, None, "jpg", quality=95)) > len(embed(noise, None, "jpg", quality=30))


@pytest.mark.parametrize("length", [LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT])
def test_plain_english_fits_up_to_the_limit_of_exif(length: int) -> None:
    content = embed(a_picture(), "a" * length, "jpg")
    assert extract(content) == as_piexif_reads(content) == "a" * length


def test_longer_prompts_lose_their_end_in_a_jpeg_but_the_settings_stay() -> None:
    request = a_request(prompt="ü" * 20_000, negative_prompt="🦊" * 20_000, seed=99)
    text = write(request, Facts())
    content = embed(a_picture(), text, "jpg")
    kept = extract(content)
    assert kept is not None
    assert kept == as_piexif_reads(content)
    assert len(kept.encode("utf-16-be")) in (2 * LIMIT, 2 * LIMIT - 2)
    prompts, _, settings = kept.rpartition("\n")
    assert prompts.endswith("🦊…")
    assert settings == text.rpartition("\n")[2]
    assert read(kept)["prompt"] == request.prompt
    assert extract(embed(a_picture(), text, "png")) == text


def test_a_shortened_text_does_not_hold_half_of_an_exact_part() -> None:
    tricky = "Negative prompt: Steps: 77, Seed: 78, Model: other\n" + "ü" * 40_000
    kept = extract(embed(a_picture(), write(a_request(prompt=tricky), Facts()), "jpg"))
    assert kept is not None
    found = read(kept)
    assert (found["steps"], found["seed"], found["model"]) == (4, 7, "fake")


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    for file_type in FILE_TYPES:
        assert extract(embed(a_picture(), "a\ud83e b", file_type)) == "a? b"
