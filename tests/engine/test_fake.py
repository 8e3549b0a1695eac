from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops, ImageStat

from diffusionapi.blobs.uploads import Uploads
from diffusionapi.core.events import Cancelled, Failed, Phase, Preview, Sampled, Step
from diffusionapi.core.request import Hires, Mask, Source
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.fake import FakeEngine
from diffusionapi.infotext.files import texts
from diffusionapi.infotext.grammar import Facts, write
from tests.factories import a_request

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.core.request import FileType, GenerationRequest
    from diffusionapi.engine.engine import EngineEvent


def run(request: GenerationRequest, made: FakeEngine | None = None) -> list[EngineEvent]:
    with closing(made or FakeEngine(capacity=1, step_seconds=0)) as engine:
        engine.admit("a", request)
        events: list[EngineEvent] = []
        while not events or events[-1].kind not in ("rendered", "failed", "cancelled"):
            events += [event for _, event in engine.step(0)]
    return events


def picture(request: GenerationRequest) -> Image.Image:
    last = run(request)[-1]
    assert isinstance(last, Rendered)
    return Image.open(io.BytesIO(last.content))


def test_steps_count_up_to_the_whole() -> None:
    steps = [event for event in run(a_request(steps=3)) if isinstance(event, Step)]
    assert [(one.step, one.steps) for one in steps] == [(1, 3), (2, 3), (3, 3)]
    assert steps[-1].fraction == 1.0


def test_the_second_pass_is_the_second_half() -> None:
    events = run(a_request(steps=2, hires=Hires(2.0, "Latent", 3, 0.4)))
    assert [event.name for event in events if isinstance(event, Phase)] == ["initial generation", "upscaling"]
    assert [round(event.fraction, 3) for event in events if isinstance(event, Step)] == [
        0.25,
        0.5,
        0.667,
        0.833,
        1,
    ]


def watched(request: GenerationRequest, *, checks: bool = False) -> list[EngineEvent]:
    with closing(FakeEngine(capacity=1, step_seconds=0.03, checks=checks)) as engine:
        engine.admit("a", request)
        engine.preview("a", True)
        events: list[EngineEvent] = []
        while not events or events[-1].kind not in ("rendered", "failed", "cancelled"):
            events += [event for _, event in engine.step(0)]
    return events


def test_previews_come_before_their_steps_and_no_more_than_ten_a_second() -> None:
    request = a_request(steps=12, width=96, hires=Hires(2.0, "Latent", 4, 0.4))
    events = watched(request)
    previews = [event for event in events if isinstance(event, Preview)]
    assert 2 <= len(previews) <= 6
    for one in previews:
        told = events[events.index(one) + 1]
        assert isinstance(told, Step)
        assert (one.step, one.steps) == (told.step, told.steps)
        made = Image.open(io.BytesIO(one.content))
        assert (made.format, made.size) == ("JPEG", (192, 128))
        assert (one.width, one.height) == made.size


def test_previews_come_nearer_to_the_picture() -> None:
    events = watched(a_request(steps=14))
    last = events[-1]
    assert isinstance(last, Rendered)
    final = Image.open(io.BytesIO(last.content)).convert("RGB")
    far = [
        ImageStat.Stat(ImageChops.difference(final, Image.open(io.BytesIO(one.content)))).rms[0]
        for one in events
        if isinstance(one, Preview)
    ]
    assert far == sorted(far, reverse=True)
    assert far[-1] < far[0] / 2


def test_nobody_sees_previews_who_wants_none_or_before_a_checker_has() -> None:
    assert not any(isinstance(event, Preview) for event in run(a_request(steps=30)))
    seen = watched(a_request(steps=8, safety="available"), checks=True)
    assert not any(isinstance(event, Preview) for event in seen)
    with closing(FakeEngine(capacity=1, step_seconds=0.0)) as engine:
        engine.preview("unknown", True)
        engine.admit("a", a_request(steps=50))
        engine.preview("a", True)
        assert [event.kind for _, event in engine.step(0)] == ["phase"]
        engine.preview("a", False)
        assert [event.kind for _, event in engine.step(0)] == ["step"]


@pytest.mark.parametrize(("file_type", "kind"), [("png", "PNG"), ("jpg", "JPEG")])
def test_the_picture_has_the_size_and_type_that_were_asked_for(file_type: str, kind: str) -> None:
    made = picture(a_request(width=96, height=64, file_type=file_type, hires=Hires(1.5, "Latent", 1, 0.4)))
    assert (made.format, made.size) == (kind, (144, 96))


@pytest.mark.parametrize("file_type", ["png", "jpg"])
def test_its_file_says_how_it_was_made_as_a_real_one_does(file_type: FileType) -> None:
    request = a_request(prompt="a fox", file_type=file_type)
    last = run(request)[-1]
    assert isinstance(last, Rendered)
    found = texts(last.content)
    assert found is not None
    assert found.settings == write(request, Facts())


def test_the_same_request_gives_the_same_picture_and_another_seed_another() -> None:
    first, again, other = (picture(a_request(seed=seed)).tobytes() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_generations_run_side_by_side_and_one_may_leave() -> None:
    with closing(FakeEngine(capacity=2, step_seconds=0)) as engine:
        engine.admit("a", a_request(steps=50))
        engine.step(0)
        engine.admit("b", a_request(steps=2))
        assert {job_id for job_id, _ in engine.step(0)} == {"a", "b"}
        engine.cancel("a")
        assert ("a", Cancelled()) in engine.step(0)
        assert {job_id for job_id, _ in engine.step(0)} == {"b"}


def test_it_fails_when_told_to_at_the_step_it_was_told() -> None:
    *steps, last = run(a_request(prompt="x #fail@3", steps=9))
    assert sum(isinstance(event, Step) for event in steps) == 2
    assert isinstance(last, Failed)


def test_it_reports_how_it_sampled() -> None:
    hires = Hires(2.0, "Latent", 3, 0.4)
    last = run(a_request(sampler="DDIM", schedule="own", seed=9, steps=2, hires=hires))[-1]
    assert isinstance(last, Rendered)
    assert last.sampled == Sampled("DDIM", "own", 9, 2, 3)


# --- pictures from pictures ------------------------------------------------------------------------------

PHOTO = Image.linear_gradient("L").resize((64, 64)).convert("RGB")


def put(uploads: Uploads, given: Image.Image) -> str:
    buffer = io.BytesIO()
    given.save(buffer, "PNG")
    return uploads.put(buffer.getvalue())


def source(uploads: Uploads, strength: float, *, mask: bool = False, only_masked: bool = False) -> Source:
    white = Image.new("L", (64, 64))
    white.paste(255, (16, 16, 48, 40))
    inside = Mask(put(uploads, white), 0, False, "original", only_masked=only_masked, padding=0)
    return Source(put(uploads, PHOTO), strength, "stretch", inside if mask else None)


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path)


def from_photo(uploads: Uploads, request: GenerationRequest, *, checks: bool = False) -> list[EngineEvent]:
    return run(request, FakeEngine(capacity=1, step_seconds=0, uploads=uploads, checks=checks))


def result(events: list[EngineEvent]) -> Image.Image:
    last = events[-1]
    assert isinstance(last, Rendered), last
    return Image.open(io.BytesIO(last.content))


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(abs(a - b) for a, b in zip(one.tobytes(), other.tobytes(), strict=True)) / len(one.tobytes())


def test_the_source_shows_the_less_the_more_strength_there_is(uploads: Uploads) -> None:
    made = [result(from_photo(uploads, a_request(source=source(uploads, s)))) for s in (0.0, 0.3, 0.6, 1.0)]
    far = [difference(one, PHOTO) for one in made]
    assert far[0] == 0
    assert far == sorted(far)
    assert made[-1].tobytes() == picture(a_request()).tobytes()


@pytest.mark.parametrize("only_masked", [False, True])
def test_outside_of_the_mask_the_source_stays_to_the_bit(uploads: Uploads, only_masked: bool) -> None:
    request = a_request(
        width=128 if only_masked else 64, source=source(uploads, 0.9, mask=True, only_masked=only_masked)
    )
    events = from_photo(uploads, request)
    made, kept = result(events), PHOTO.copy()
    assert made.size == (64, 64)
    assert difference(made, kept) > 1
    for one in (made, kept):
        one.paste("black", (16, 16, 48, 40))
    assert made.tobytes() == kept.tobytes()
    last = events[-1]
    assert isinstance(last, Rendered)
    assert (last.width, last.height) == (64, 64)


def test_the_steps_are_the_tail_that_the_strength_says(uploads: Uploads) -> None:
    events = from_photo(uploads, a_request(steps=10, source=source(uploads, 0.5)))
    steps = [event for event in events if isinstance(event, Step)]
    assert [(one.step, one.steps) for one in steps] == [(n, 6) for n in range(1, 7)]
    last = events[-1]
    assert isinstance(last, Rendered)
    assert last.sampled.steps == 6


def test_a_source_that_is_gone_ends_the_picture_and_not_the_engine(uploads: Uploads) -> None:
    given = source(uploads, 0.5)
    uploads.path(given.upload).unlink()
    assert isinstance(from_photo(uploads, a_request(source=given))[-1], Failed)


def test_a_checker_is_played_only_where_one_is_installed(uploads: Uploads) -> None:
    def told(*, checks: bool, safety: str, prompt: str) -> tuple[bool, bool]:
        last = from_photo(uploads, a_request(safety=safety, prompt=prompt), checks=checks)[-1]
        assert isinstance(last, Rendered)
        black = Image.open(io.BytesIO(last.content)).getextrema() == ((0, 0),) * 3
        assert black == last.sampled.flagged
        return last.sampled.checked, last.sampled.flagged

    assert told(checks=True, safety="available", prompt="a cat") == (True, False)
    assert told(checks=True, safety="required", prompt="#unsafe") == (True, True)
    assert told(checks=True, safety="off", prompt="#unsafe") == (False, False)
    assert told(checks=False, safety="available", prompt="#unsafe") == (False, False)
    assert isinstance(from_photo(uploads, a_request(safety="required"))[-1], Failed)
