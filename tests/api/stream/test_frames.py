"""The frames: one for each step with what the picture looks like, then the picture itself."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.stream.client import KEY, SMALL, Client, picture
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ["image", "step", "completed", "request"]
PNG, JPEG = b"\x89PNG", b"\xff\xd8\xff"


def test_every_frame_has_the_four_keys_in_the_documented_order(stream: Client) -> None:
    story = stream.ask(steps=4)
    assert [list(one) for one in story.frames] == [KEYS] * 4
    # As the documentation writes it, without blanks.
    assert story.texts[-1] == json.dumps(story.frames[-1], separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("steps", [1, 2, 3, 30])
def test_there_is_a_frame_for_each_step_and_the_last_one_is_complete(stream: Client, steps: int) -> None:
    story = stream.ask(steps=steps)
    assert story.steps == list(range(1, steps + 1))
    assert [one["completed"] for one in story.frames] == [False] * (steps - 1) + [True]
    assert story.end == (1000, 200)


def test_images_are_bare_base64(stream: Client) -> None:
    for one in stream.ask().frames:
        assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", one["image"])


def test_every_frame_but_the_last_has_a_preview_of_the_picture_s_size(stream: Client) -> None:
    *before, last = stream.ask(image_size=[512, 512], steps=20).frames
    assert {(picture(one).format, picture(one).size) for one in before} == {("JPEG", (512, 512))}
    assert (picture(last).format, picture(last).size) == ("PNG", (512, 512))


def test_the_picture_is_seen_to_appear(stream: Client) -> None:
    frames = stream.ask(steps=50).frames
    different = {one["image"] for one in frames}
    assert len(different) > 4  # ten a second at most, and the picture
    last = picture(frames[-1]).convert("RGB")

    def distance(frame: dict[str, str]) -> int:
        shown = picture(frame).convert("RGB").resize((16, 16))
        pairs = zip(shown.tobytes(), last.resize((16, 16)).tobytes(), strict=True)
        return sum(abs(one - other) for one, other in pairs)

    assert distance(frames[-2]) < distance(frames[0])


def test_the_request_is_echoed_with_its_defaults_and_without_what_was_not_given(stream: Client) -> None:
    story = stream.say('{"prompt": "a red kite", "image_size": [256, 256], "steps": 2.0, "seed": 1}')
    expected = {"prompt": "a red kite", "image_size": [256, 256], "steps": 2, "guidance_scale": 7.0}
    assert [one["request"] for one in story.frames] == [expected] * 2
    assert list(story.frames[0]["request"]) == list(expected)
    assert '"guidance_scale":7.0}' in story.texts[0]
    given = stream.ask(negative_prompt="rain", guidance_scale=3).frames[0]["request"]
    assert (given["negative_prompt"], given["guidance_scale"]) == ("rain", 3.0)


def test_a_prompt_comes_back_as_it_was(stream: Client) -> None:
    prompt = 'Ein "Drachen" 🪁\n\\ \x7f <lora:x:1>'
    assert stream.ask(prompt=prompt).frames[0]["request"]["prompt"] == prompt


def test_the_same_request_gives_another_picture(stream: Client) -> None:
    first, second = (stream.ask(steps=1).frames[-1]["image"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("side", [256, 1024, 2048])
def test_the_picture_has_the_size_that_was_asked_for(stream: Client, side: int) -> None:
    story = stream.ask(image_size=[side, side], steps=2)
    assert [picture(one).size for one in story.frames] == [(side, side)] * 2


def test_a_job_that_begins_again_goes_on_where_it_was(stream: Client) -> None:
    """Its engine dies three times at its fourth step; till then every step is told once."""
    story = stream.ask(prompt="#crash@4", steps=10)
    assert story.steps == [1, 2, 3]
    assert story.end == (1011, 1011)
    assert "died 3 times" in story.said["message"]


@pytest.mark.parametrize(("every", "with_images"), [(0, [10]), (4, [4, 8, 10]), (20, [10])])
def test_previews_may_be_fewer_or_none(tmp_path: Path, every: int, with_images: list[int]) -> None:
    settings: dict[str, Any] = {"api_keys": KEY, "stream_max_wait": 30, "stream_preview_every": every}
    with Server(tmp_path, fake_step_seconds=0.1, **settings) as server:
        frames = Client(server).ask(steps=10).frames
    assert [one["step"] for one in frames] == list(range(1, 11))
    assert [one["step"] for one in frames if one["image"]] == with_images
    assert all(isinstance(one["image"], str) for one in frames)


def test_steps_rise_by_one_however_fast_they_are(tmp_path: Path) -> None:
    with Server(tmp_path, api_keys=KEY, stream_max_wait=30, fake_step_seconds=0) as server:
        for _ in range(3):
            steps = Client(server).ask(steps=200).steps
            assert all(after - before == 1 for before, after in pairwise([0, *steps, 201]))


def test_the_example_of_the_notes_is_what_is_said(stream: Client) -> None:
    last = stream.say(json.dumps(SMALL)).texts[-1]
    assert re.fullmatch(
        r'\{"image":"[^"]+","step":5,"completed":true,"request":\{"prompt":"a red kite",'
        r'"image_size":\[256,256\],"steps":5,"guidance_scale":7\.0\}\}',
        last,
    )
