from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from diffusionapi.core.events import Cancelled, Failed, Phase, Sampled, Step
from diffusionapi.core.request import Hires
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.fake import FakeEngine
from tests.factories import a_request

if TYPE_CHECKING:
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.engine import EngineEvent


def run(request: GenerationRequest) -> list[EngineEvent]:
    with closing(FakeEngine(capacity=1, step_seconds=0)) as engine:
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


@pytest.mark.parametrize(("file_type", "kind"), [("png", "PNG"), ("jpg", "JPEG")])
def test_the_picture_has_the_size_and_type_that_were_asked_for(file_type: str, kind: str) -> None:
    made = picture(a_request(width=96, height=64, file_type=file_type, hires=Hires(1.5, "Latent", 1, 0.4)))
    assert (made.format, made.size) == (kind, (144, 96))


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
