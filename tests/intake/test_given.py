"""The forms in which clients write a picture into a field."""

from __future__ import annotations

import base64
import textwrap
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusionapi.errors import BadPicture, PictureTooLarge
from diffusionapi.intake.given import file_in, is_url

LIMIT = 2**20
BYTES = bytes(range(256)) + b"\xfb\xff\xfe?>"
PLAIN = base64.b64encode(BYTES).decode()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip("="),
        base64.urlsafe_b64encode(BYTES).decode(),
        base64.urlsafe_b64encode(BYTES).decode().rstrip("="),
        textwrap.fill(PLAIN, 76),
        f"\n  {PLAIN}\r\n",
        f"data:image/png;base64,{PLAIN}",
        f"DATA:image/PNG;BASE64,{PLAIN}",
        f"data:;base64,{PLAIN}",
        f"data:image/png;name=a;base64,{textwrap.fill(PLAIN, 60)}",
        f"data:text/html;base64,{PLAIN}",  # the bytes decide, not what is said of them
        f"data:image/png;base64,{quote(PLAIN, safe='')}",
        f"data:image/png,{quote_from_bytes(BYTES)}",
    ],
)
def test_every_form_of_base64_is_read(text: str) -> None:
    assert file_in(text, "image", LIMIT) == BYTES
    assert not is_url(text)


@pytest.mark.parametrize(
    "text",
    (
        *("", " ", "=", "a", "abcde", "not base64!", "ünïcode", PLAIN + "é", "AAAA=AAAA"),
        *("data:image/png;base64", "data:image/png;base64,", "data:,", "data:"),
    ),
)
def test_what_is_none_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadPicture, match=r"^image: "):
        file_in(text, "image", LIMIT)


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(bytes(101)).decode(),
        "A" * 10_000,
        " " * 10_000,
        "data:;base64," + "A" * 10_000,
        "data:;base64," + "%41" * 10_000,
        "data:," + "A" * 101,
        "data:," + "%41" * 10_000,
    ],
)
def test_what_is_too_large_is_not_decoded(text: str) -> None:
    with pytest.raises(PictureTooLarge, match="larger than"):
        file_in(text, "image", 100)


def test_the_limit_itself_is_taken() -> None:
    assert len(file_in(base64.b64encode(bytes(100)).decode(), "image", 100)) == 100


@pytest.mark.parametrize(
    "text", ["http://a/b", "HTTPS://a", "file:///etc/passwd", "ftp://a", "javascript:1", "C:\\a"]
)
def test_what_begins_with_a_scheme_is_a_url(text: str) -> None:
    assert is_url(text)


@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_come_back(content: bytes) -> None:
    assert file_in(base64.b64encode(content).decode(), "image", LIMIT) == content
    assert file_in(f"data:image/png;base64,{base64.b64encode(content).decode()}", "image", LIMIT) == content
    assert file_in(f"data:,{quote_from_bytes(content)}", "image", LIMIT) == content


@given(st.text())
def test_any_text_is_bytes_or_a_sentence(text: str) -> None:
    try:
        assert file_in(text, "image", LIMIT)
    except BadPicture as refusal:
        assert refusal.sentence.startswith("image: ")
