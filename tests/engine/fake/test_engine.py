"""The fake engine's running set: who moves at a step, and who sees previews."""

from __future__ import annotations

import io
import time
from contextlib import closing
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageStat

from diffusionapi.core.events import Cancelled, Preview, Step
from diffusionapi.core.request import Hires
from diffusionapi.engine.engine import ENDS
from diffusionapi.engine.fake.engine import FakeEngine
from tests.engine.fake.acting import picture, put, run
from tests.factories import a_request, a_training

if TYPE_CHECKING:
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.engine.fake.props import Props

PHOTO = Image.new("RGB", (64, 64), "red")


def an_engine(props: Props, *, capacity: int = 1, step_seconds: float = 0.0) -> FakeEngine:
    return FakeEngine(props, capacity=capacity, step_seconds=step_seconds)


def watched(request: GenerationRequest, props: Props) -> list[EngineEvent]:
    with closing(an_engine(props, step_seconds=0.03)) as engine:
        engine.admit("a", request)
        engine.preview("a", True)
        events: list[EngineEvent] = []
        while not events or not isinstance(events[-1], ENDS):
            events += [event for _, event in engine.step(0)]
    return events


def test_previews_come_before_their_steps_and_no_more_than_ten_a_second(props: Props) -> None:
    began = time.monotonic()
    events = watched(a_request(steps=12, width=96, hires=Hires(2.0, "Latent", 4, 0.4)), props)
    previews = [event for event in events if isinstance(event, Preview)]
    assert 2 <= len(previews) <= 10 * (time.monotonic() - began) + 1
    for one in previews:
        told = events[events.index(one) + 1]
        assert isinstance(told, Step)
        assert (one.step, one.steps) == (told.step, told.steps)
        made = Image.open(io.BytesIO(one.content))
        assert (made.format, made.size) == ("JPEG", (192, 128))
        assert (one.width, one.height) == made.size


def test_previews_come_nearer_to_the_picture(props: Props) -> None:
    events = watched(a_request(steps=14), props)
    final = picture(events).convert("RGB")
    far = [
        ImageStat.Stat(ImageChops.difference(final, Image.open(io.BytesIO(one.content)))).rms[0]
        for one in events
        if isinstance(one, Preview)
    ]
    assert far == sorted(far, reverse=True)
    assert far[-1] < far[0] / 2


def test_nobody_sees_previews_who_wants_none_or_before_a_checker_has(
    props: Props, checking_props: Props
) -> None:
    assert not any(isinstance(event, Preview) for event in run(a_request(steps=30), props))
    seen = watched(a_request(steps=8, safety="available"), checking_props)
    assert not any(isinstance(event, Preview) for event in seen)
    with closing(an_engine(props)) as engine:
        engine.preview("unknown", True)
        engine.admit("a", a_request(steps=50))
        engine.preview("a", True)
        assert [event.kind for _, event in engine.step(0)] == ["phase"]
        engine.preview("a", False)
        assert [event.kind for _, event in engine.step(0)] == ["step"]


def test_generations_run_side_by_side_and_one_may_leave(props: Props) -> None:
    with closing(an_engine(props, capacity=2)) as engine:
        engine.admit("a", a_request(steps=50))
        engine.step(0)
        engine.admit("b", a_request(steps=2))
        assert {job_id for job_id, _ in engine.step(0)} == {"a", "b"}
        engine.cancel("a")
        assert ("a", Cancelled()) in engine.step(0)
        assert {job_id for job_id, _ in engine.step(0)} == {"b"}


def test_a_training_moves_only_while_there_is_no_picture(props: Props) -> None:
    training = a_training(pictures=(put(props.uploads, PHOTO),), steps=20)
    with closing(an_engine(props)) as engine:
        engine.admit("training", training)
        assert {job_id for job_id, _ in engine.step(0)} == {"training"}
        engine.admit("picture", a_request(steps=3))
        told = [engine.step(0) for _ in range(5)]  # a phase, three steps, the picture
        assert {job_id for happened in told for job_id, _ in happened} == {"picture"}
        assert {job_id for job_id, _ in engine.step(0)} == {"training"}


def test_trainings_go_one_after_the_other(props: Props) -> None:
    photo = put(props.uploads, PHOTO)
    with closing(an_engine(props)) as engine:
        for name in ("first", "second"):
            engine.admit(name, a_training(name=name, pictures=(photo,), steps=3))
        told: list[str] = []
        while len(told) < 2 or told[-1] != "end of second":
            told += [
                f"{'end' if isinstance(event, ENDS) else 'course'} of {job_id}"
                for job_id, event in engine.step(0)
            ]
    assert told.index("end of first") < told.index("course of second")


def test_a_training_that_waits_can_be_cancelled(props: Props) -> None:
    with closing(an_engine(props)) as engine:
        engine.admit("picture", a_request(steps=50))
        engine.admit("training", a_training())
        engine.cancel("training")
        assert ("training", Cancelled()) in engine.step(0)
