"""Trainings in the running set: they wait for pictures, stop between steps, and are the same for all that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from diffusionapi.core.events import Cancelled, Failed, Phase, Step
from diffusionapi.engine.engine import ENDS, Rendered, Taught
from diffusionapi.engine.recipe import Pause, generate
from tests.engine.rendering import a_photo, difference, picture, render, run, upload
from tests.factories import a_request, a_training

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import Tensor

    from diffusionapi.engine.denoiser import Call
    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.engine.recipe import Moment
    from diffusionapi.engine.running import DiffusionEngine
    from diffusionapi.settings import Settings

    Course = Generator[Moment, Tensor | None, None]


@pytest.fixture
def teach(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Course]], None]:
    """Puts another course in place of that of trainings."""
    return lambda course: monkeypatch.setattr("diffusionapi.engine.running.learn", course)


def endless(*_: object) -> Course:
    yield Phase("training")
    for step in range(1, 1_000_000):
        yield Step(step, 1_000_000, step / 1_000_000, 0.1)
        yield Pause()


def happened_to(engine: DiffusionEngine, name: str, steps: int) -> list[EngineEvent]:
    told = [engine.step(0) for _ in range(steps)]
    return [event for happened in told for job_id, event in happened if job_id == name]


def test_a_training_moves_only_while_there_is_no_picture(engine: DiffusionEngine, teach: Any) -> None:
    teach(endless)
    engine.admit("training", a_training())
    assert len(happened_to(engine, "training", 6)) > 1
    engine.admit("picture", a_request(model="sd1", steps=3))
    told: list[tuple[str, EngineEvent]] = []
    while not told or not isinstance(told[-1][1], ENDS):
        told += engine.step(0)
    assert {name for name, _ in told} == {"picture"}
    assert isinstance(told[-1][1], Rendered)
    assert len(happened_to(engine, "training", 6)) > 1


def test_trainings_go_one_after_the_other(engine: DiffusionEngine, teach: Any) -> None:
    teach(endless)
    engine.admit("first", a_training())
    engine.admit("second", a_training())
    assert happened_to(engine, "second", 6) == []
    engine.cancel("first")
    assert len(happened_to(engine, "second", 6)) > 1


def test_a_training_is_stepped_where_it_can_learn_and_pictures_where_they_are_quick(
    engine: DiffusionEngine, teach: Any
) -> None:
    seen: list[bool] = []

    def course(*_: object) -> Course:
        weight = torch.ones(2)
        seen.append(weight.is_inference())
        yield Pause()
        weight.requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad((weight * 3).sum(), weight)
        yield Taught(b"", 1, float(slope.sum()))

    teach(course)
    assert run(engine, it=a_training())["it"] == [Taught(b"", 1, 6.0)]
    assert seen == [False]


def test_a_training_may_have_pictures_painted(
    engine: DiffusionEngine, teach: Any, asked: list[list[Call]]
) -> None:
    request = a_request(model="sd1", steps=5, seed=3)
    painted: list[Rendered] = []

    def course(_: object, workshop: Any) -> Course:
        answer, painting = None, generate(request, workshop)
        while not painted:
            with torch.inference_mode():
                moment = painting.send(answer)
            if isinstance(moment, Rendered):
                painted.append(moment)
            else:
                answer = yield moment
        yield Taught(b"", 1, 0.0)

    teach(course)
    run(engine, it=a_training())
    assert len(asked) == 5
    assert picture([*painted]).tobytes() == picture(run(engine, it=request)["it"]).tobytes()


def test_a_training_is_cancelled_within_a_step_and_tidies_up(engine: DiffusionEngine, teach: Any) -> None:
    tidied = []

    def course(*arguments: object) -> Course:
        try:
            yield from endless(*arguments)
        finally:
            tidied.append(True)

    teach(course)
    engine.admit("it", a_training())
    happened_to(engine, "it", 4)
    engine.cancel("it")
    assert engine.step(0) == [("it", Cancelled())]
    assert tidied == [True]


def test_a_training_that_waits_is_cancelled_too(engine: DiffusionEngine, teach: Any) -> None:
    teach(endless)
    engine.admit("picture", a_request(model="sd1", steps=500))
    engine.admit("it", a_training())
    engine.cancel("it")
    assert ("it", Cancelled()) in engine.step(0)


def test_a_training_that_fails_says_so_and_ends_nothing_else(engine: DiffusionEngine, teach: Any) -> None:
    def course(*_: object) -> Course:
        yield Pause()
        raise RuntimeError("a defect")

    teach(course)
    told = run(engine, it=a_training(), picture=a_request(model="sd1", steps=2))
    failed = told["it"][-1]
    assert isinstance(failed, Failed)
    assert "failed at this training (RuntimeError)" in failed.failure.sentence
    assert isinstance(told["picture"][-1], Rendered)


def test_nobody_sees_previews_of_a_training(engine: DiffusionEngine, teach: Any) -> None:
    teach(endless)
    engine.admit("it", a_training())
    engine.preview("it", True)
    assert {event.kind for event in happened_to(engine, "it", 20)} == {"phase", "step"}


def test_a_picture_between_two_steps_of_a_training_is_what_it_would_be_alone(
    engine: DiffusionEngine, house: Settings
) -> None:
    alone = render(engine, model="sd1", steps=4, seed=5)
    training = a_training(
        model="sd1",
        pictures=(upload(house, a_photo(64, 64)),),
        steps=6,
        rate=1e-2,
        text_encoder_rate=1e-2,
        text_encoder_steps=6,
    )
    engine.admit("training", training)
    told: list[tuple[str, EngineEvent]] = []
    while not any(isinstance(event, Step) for _, event in told):
        told += engine.step(0)
    engine.admit("between", a_request(model="sd1", steps=4, seed=5))
    while not isinstance(told[-1][1], Taught):
        told += engine.step(0)
    assert difference(picture([event for name, event in told if name == "between"]), alone) == 0
