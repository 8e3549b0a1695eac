"""Bodies in all the forms that clients send, and what counts as not given."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from diffusionapi.api.v3.body import fields_of, tidied
from diffusionapi.errors import BadJson
from tests.api.v3.house import INVALID_KEY, KEY, House, a_png

FIELDS = {"key": KEY, "prompt": "a + b = c & d", "width": "64", "height": "128", "samples": "2"}
JSON = json.dumps(FIELDS)
PARTS = "".join(
    f'--edge-1\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    for name, value in FIELDS.items()
)
BODIES = {"JSON": JSON, "a form": urlencode(FIELDS), "parts": f"{PARTS}--edge-1--\r\n"}
KINDS = [
    None,
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=another",
]
WAYS: dict[str, dict[str, Any]] = {
    "JSON": {"json": FIELDS},
    "a form": {"data": FIELDS},
    "a form of several parts": {"data": FIELDS, "files": {"nothing": b"x"}},
    "JSON that is called a form": {
        "content": JSON,
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
    },
    "JSON that is called text": {"content": JSON, "headers": {"Content-Type": "text/plain; charset=UTF-8"}},
    "JSON that is called nothing": {"content": JSON},
    "JSON behind a byte order mark": {"content": b"\xef\xbb\xbf" + JSON.encode()},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["/api/v3/text2img", "/api/v3/text2img/"])
def test_every_form_of_a_body_is_read(idle: House, way: str, path: str) -> None:
    answer = idle.client.post(path, follow_redirects=False, **WAYS[way])
    assert answer.status_code == 200
    asked = idle.ticket(answer.json(), place=1).generation
    assert asked.prompt.startswith("a + b = c & d")
    assert (asked.width, asked.height) == (64, 128)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_read_whatever_it_is_called(idle: House, body: str, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = idle.client.post("/api/v3/text2img", content=BODIES[body].encode(), headers=headers)
    asked = idle.ticket(answer.json(), place=1).generation
    assert asked.prompt.startswith("a + b = c & d")
    assert (asked.width, asked.height) == (64, 128)


@pytest.mark.parametrize("body", [b"--edge\r\n", b"--edge\r\nnonsense", b"--\r\n\r\n--", b"--\xff\r\nx"])
def test_parts_that_cannot_be_read_are_answered_as_a_wrong_key(idle: House, body: bytes) -> None:
    answer = idle.client.post("/api/v3/text2img", content=body)
    assert (answer.status_code, answer.json()) == (200, INVALID_KEY)


def test_a_file_in_a_form_is_taken_as_a_picture(idle: House) -> None:
    fields = {"key": KEY, "prompt": "a lighthouse"}
    answer = idle.client.post("/api/v3/img2img", data=fields, files={"init_image": a_png()})
    assert idle.ticket(answer.json()).generation.source is not None


@pytest.mark.parametrize("nothing", [None, "", "null", " ", "NULL"])
def test_nothing_is_no_value(idle: House, nothing: object) -> None:
    asked = idle.asked(seed=nothing, negative_prompt=nothing, webhook=nothing, guidance_scale=nothing)
    assert asked.guidance == 7.5
    assert idle.wrong(prompt=nothing) == {"prompt": ["The prompt field is required."]}


@pytest.mark.parametrize(("said", "meant"), [("yes", True), ("no", False), (True, True), (False, False)])
@pytest.mark.parametrize("spelt", [str, lambda said: said])
def test_flags_are_words_or_booleans(idle: House, said: object, meant: bool, spelt: Any) -> None:
    assert idle.asked(panorama=spelt(said)).tiling == ("horizontal" if meant else "none")


@pytest.mark.parametrize(("said", "meant"), [("1", True), (0, False), ("TRUE", True), ("on", True)])
def test_flags_are_numbers_too(idle: House, said: object, meant: bool) -> None:
    assert idle.asked(panorama=said).tiling == ("horizontal" if meant else "none")


def test_what_it_does_not_know_is_ignored(idle: House) -> None:
    assert idle.make(prompt_strength=3, nonsense={"a": [1]})["status"] == "processing"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"3", b'"a=b"', b'{"key":', b"{" * 3000, b"\xff\xfe", b'{"key": NaN', b'{"key": "\\ud800"}'],
)
def test_what_is_no_object_is_answered_as_a_wrong_key(idle: House, body: bytes) -> None:
    answer = idle.client.post("/api/v3/text2img", content=body)
    assert (answer.status_code, answer.json()) == (200, INVALID_KEY)


def test_a_field_of_a_form_that_comes_more_than_once_is_a_list() -> None:
    assert fields_of(b"a=1&a=2&b[]=3&c[0]=4&c[1]=5&d=") == {
        "a": ["1", "2"],
        "b": ["3"],
        "c": ["4", "5"],
        "d": "",
    }


def test_numbers_too_long_for_python_are_bad_json() -> None:
    with pytest.raises(BadJson):
        fields_of(b'{"seed": ' + b"1" * 5000 + b"}")


def test_a_value_that_is_false_or_zero_is_given() -> None:
    assert tidied({"a": 0, "b": False, "c": [], "d": None}) == {"a": 0, "b": False, "c": []}
