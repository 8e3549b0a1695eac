"""The request, field by field: what is taken, what is refused, what is drawn of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.api.stream.schemas import SIZES, StreamRequest, read
from diffusionapi.api.stream.translate import ticket
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.errors import BadJson, BadRequest, Error, Misconfigured
from tests import stubs
from tests.api.stream.client import SMALL, Client

if TYPE_CHECKING:
    from diffusionapi.settings import Settings

DEFAULTS = {"image_size": [512, 512], "steps": 100, "guidance_scale": 7.0}


def taken(**fields: Any) -> dict[str, Any]:
    """What is echoed of a request."""
    found: dict[str, Any] = json.loads(read(json.dumps({"prompt": "a red kite"} | fields), 2048).echo())
    return found


def refused(message: str | bytes, kind: type[Error] = BadRequest, max_side: int = 2048) -> str:
    with pytest.raises(kind) as found:
        read(message, max_side)
    return found.value.sentence


def test_what_is_left_open_is_filled_in() -> None:
    assert taken() == {"prompt": "a red kite"} | DEFAULTS


@pytest.mark.parametrize(
    "message", ["{}", '{"prompt":null}', '{"prompt":3}', '{"prompt":""}', '{"prompt":" "}']
)
def test_a_prompt_is_needed_and_is_a_string_that_says_something(message: str) -> None:
    assert refused(message).startswith("prompt: ")


def test_a_negative_prompt_may_be_there_or_null() -> None:
    assert taken(negative_prompt="rain")["negative_prompt"] == "rain"
    assert "negative_prompt" not in taken(negative_prompt=None)
    assert refused('{"prompt":"a","negative_prompt":1}').startswith("negative_prompt: ")


@pytest.mark.parametrize("size", SIZES)
def test_four_sizes_are_taken(size: tuple[int, int]) -> None:
    assert taken(image_size=list(size))["image_size"] == list(size)


@pytest.mark.parametrize(
    "size",
    [
        [256, 512],
        [768, 768],
        [0, 0],
        [512],
        [512, 512, 3],
        [],
        512,
        "512x512",
        None,
        ["512", "512"],
        [True, 1],
    ],
)
def test_no_other_size_is_taken(size: object) -> None:
    assert refused(json.dumps({"prompt": "a", "image_size": size})).startswith("image_size")


def test_a_size_that_this_server_is_not_made_for_is_refused() -> None:
    assert "MAX_SIDE" in refused('{"prompt":"a","image_size":[2048,2048]}', max_side=1024)


@pytest.mark.parametrize(("steps", "used"), [(1, 1), (10.0, 10), (500, 500)])
def test_steps_are_whole_numbers(steps: float, used: int) -> None:
    assert taken(steps=steps)["steps"] == used


@pytest.mark.parametrize(
    "steps", ["0", "501", "-1", "1.5", "true", '"10"', "null", "1e400", "NaN", "[]", "9" * 500]
)
def test_what_is_no_number_of_steps_is_refused(steps: str) -> None:
    assert refused(f'{{"prompt":"a","steps":{steps}}}').startswith("steps: ")


@pytest.mark.parametrize(("scale", "used"), [(0, 0.0), (7, 7.0), (7.5, 7.5), (50, 50.0)])
def test_a_guidance_scale_is_a_number(scale: float, used: float) -> None:
    assert taken(guidance_scale=scale)["guidance_scale"] == used


@pytest.mark.parametrize(
    "scale", ["-0.1", "50.1", "true", '"7"', "null", "NaN", "Infinity", "-Infinity", "1e400"]
)
def test_what_is_no_guidance_scale_is_refused(scale: str) -> None:
    assert refused(f'{{"prompt":"a","guidance_scale":{scale}}}').startswith("guidance_scale: ")


def test_fields_that_are_unknown_are_ignored_and_not_echoed() -> None:
    assert taken(seed=1, model="x", strength="no number") == {"prompt": "a red kite"} | DEFAULTS


@pytest.mark.parametrize(
    "message",
    ["", "a red kite", "{", "[]", "null", "3", '"x"', b"\xff\xfe", '{"prompt":"\\ud800"}', "[" * 60_000],
)
def test_what_is_no_json_object_is_refused(message: str | bytes) -> None:
    assert refused(message, BadJson).startswith("The message ")


def test_a_message_has_an_end() -> None:
    assert refused(json.dumps({"prompt": "a" * 2**16}), BadJson) == "The message is larger than 64 KiB"
    read(json.dumps({"prompt": "a" * (2**16 - 100)}), 2048)


def test_all_that_is_wrong_is_said() -> None:
    said = refused('{"steps":0,"guidance_scale":99}')
    assert all(field in said for field in ("prompt", "steps", "guidance_scale"))


@pytest.mark.parametrize(
    "message", ["kite", "[]", '{"prompt":""}', '{"prompt":"a","steps":0}', b"\xff", b"{}"]
)
def test_a_refusal_closes_the_socket_with_its_code_and_the_field(
    stream: Client, message: str | bytes
) -> None:
    story = stream.say(message)
    assert (story.end, story.texts) == ((1003, 400), [])
    assert "steps" in story.reason or "steps" not in str(message)


def test_a_request_may_come_as_bytes(stream: Client) -> None:
    story = stream.say(json.dumps(SMALL | {"prompt": "Kähne im Föhn"}, ensure_ascii=False).encode())
    assert story.end == (1000, 200)
    assert story.frames[-1]["request"]["prompt"] == "Kähne im Föhn"


# --- what becomes of it ----------------------------------------------------------------------------------


def test_a_job_says_all_that_the_request_said(settings: Settings) -> None:
    asked = StreamRequest(
        prompt="a kite", negative_prompt="rain", image_size=[1024, 1024], steps=1, guidance_scale=0
    )
    job = ticket(asked, Catalog(settings), settings)
    request = job.generation
    assert (request.prompt, request.negative_prompt) == ("a kite", "rain")
    assert (request.width, request.height, request.steps, request.guidance) == (1024, 1024, 1, 0)
    assert (request.file_type, request.sampler, request.schedule) == ("png", "DPM++ 2M Karras", "karras")
    assert job.dialect == "stream"


def test_every_picture_is_another_one(settings: Settings) -> None:
    asked = StreamRequest(prompt="a kite")
    seeds = {ticket(asked, Catalog(settings), settings).generation.seed for _ in range(5)}
    assert len(seeds) == 5


def test_a_model_of_the_server_that_cannot_be_used_is_no_mistake_of_the_client(settings: Settings) -> None:
    real = settings.model_copy(update={"engine": "diffusers"})
    with pytest.raises(Misconfigured):
        ticket(StreamRequest(prompt="a kite"), Catalog(real), real)
    stubs.a_model(settings.path(settings.models_dir) / "painter")
    strict = real.model_copy(update={"safety": "required"})
    with pytest.raises(Misconfigured, match="SAFETY"):
        ticket(StreamRequest(prompt="a kite"), Catalog(strict), strict)
    assert ticket(StreamRequest(prompt="a kite"), Catalog(real), real).generation.model == "painter"
