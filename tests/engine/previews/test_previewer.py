"""Previews of the real engine: what they show, whom they cost nothing, and that pictures stay as they are."""

from __future__ import annotations

import io
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from diffusionapi.core.events import Preview, Step
from diffusionapi.core.request import Hires, Mask, Source
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.previews import colours, jpeg, previewer
from diffusionapi.engine.workshop import Workshop
from tests.engine.previews.test_tiny import install
from tests.engine.rendering import a_mask, a_photo, ended, make_engine, make_house, picture, run, upload
from tests.factories import a_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.engine.running import DiffusionEngine
    from diffusionapi.settings import Settings


@pytest.fixture
def house(tmp_path: Path, sd1_folder: Path) -> Settings:
    return make_house(tmp_path, {"sd1": sd1_folder})


@pytest.fixture
def engine(house: Settings) -> Iterator[DiffusionEngine]:
    engine = make_engine(house)
    yield engine
    engine.close()


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview of each step, which is waited for."""
    monkeypatch.setattr(previewer, "INTERVAL", 0.0)
    monkeypatch.setattr(previewer, "_SHARE", 1e9)
    monkeypatch.setattr("diffusionapi.engine.running._WAIT", 1e6)


def watch(engine: DiffusionEngine, request: GenerationRequest) -> list[EngineEvent]:
    engine.admit("it", request)
    engine.preview("it", True)
    told: list[EngineEvent] = []
    while not told or not ended(told):
        told += [event for _, event in engine.step(0)]
    return told


def previews(told: list[EngineEvent]) -> list[Preview]:
    return [event for event in told if isinstance(event, Preview)]


def opened(preview: Preview) -> Image.Image:
    made = Image.open(io.BytesIO(preview.content))
    assert (made.format, made.size) == ("JPEG", (preview.width, preview.height))
    return made


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DPM adaptive"])
def test_each_step_has_one_preview_that_comes_with_it(engine: DiffusionEngine, sampler: str) -> None:
    told = watch(engine, a_request(model="sd1", width=96, steps=5, sampler=sampler))
    shown = [one.step for one in previews(told)]
    assert shown == sorted(set(shown))
    assert shown[-1] <= 5
    if sampler == "Euler":
        assert shown == [1, 2, 3, 4, 5]
    for one in previews(told):
        assert opened(one).size == (96, 64)
        after = next(event for event in told[told.index(one) :] if isinstance(event, Step))
        assert (one.step, one.steps) == (after.step, after.steps)


@pytest.mark.usefixtures("every_step")
def test_a_picture_is_the_same_with_previews(engine: DiffusionEngine) -> None:
    request = a_request(model="sd1", steps=6, sampler="Euler a", seed=3)
    plain, watched = run(engine, it=request)["it"], watch(engine, request)
    assert len(previews(watched)) == 6
    assert picture(plain).tobytes() == picture(watched).tobytes()


@pytest.mark.usefixtures("every_step")
def test_the_last_preview_has_the_colours_of_the_last_latents(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    of = colours.Colours.of

    def watched(self: colours.Colours, latents: Tensor) -> Tensor:
        seen.append(of(self, latents))
        return seen[-1]

    monkeypatch.setattr(colours.Colours, "of", watched)
    told = watch(engine, a_request(model="sd1", steps=3))
    small = Image.fromarray(seen[-1].numpy())
    shown = np.asarray(opened(previews(told)[-1]).resize(small.size), dtype=float)
    assert np.abs(shown - np.asarray(small.resize((64, 64)).resize(small.size), dtype=float)).mean() < 12


@pytest.mark.usefixtures("every_step")
def test_previews_have_the_size_of_the_picture_in_both_passes(engine: DiffusionEngine) -> None:
    told = watch(engine, a_request(model="sd1", steps=2, hires=Hires(2.0, "Latent", 2, 0.9)))
    assert [(one.step, opened(one).size) for one in previews(told)] == [
        (step, (128, 128)) for step in (1, 2, 1, 2)
    ]


@pytest.mark.usefixtures("every_step")
def test_what_is_painted_into_a_picture_is_shown_there(engine: DiffusionEngine, house: Settings) -> None:
    photo = a_photo(200, 120)
    mask = Mask(
        upload(house, a_mask(200, 120, (60, 40, 90, 70))),
        0.0,
        invert=False,
        fill="original",
        only_masked=True,
        padding=8,
    )
    request = a_request(model="sd1", steps=4, source=Source(upload(house, photo), 0.9, "stretch", mask))
    told = watch(engine, request)
    first = opened(previews(told)[0])
    assert first.size == photo.size
    aside = (100, 0, 200, 120)
    far = np.abs(np.asarray(first.crop(aside), dtype=int) - np.asarray(photo.crop(aside), dtype=int))
    assert far.mean() < 6, "a JPEG of the source"


def test_they_come_ten_times_a_second_at_most(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previewer, "_SHARE", 1e9)
    run(engine, warm=a_request(model="sd1"))
    began = time.monotonic()
    told = watch(engine, a_request(model="sd1", steps=40))
    assert 1 <= len(previews(told)) <= (time.monotonic() - began) / 0.1 + 1


def test_nobody_gets_any_who_did_not_ask(engine: DiffusionEngine) -> None:
    told = run(engine, it=a_request(model="sd1", steps=20))["it"]
    assert not previews(told)


@pytest.mark.usefixtures("every_step")
def test_previews_can_be_ended_and_are_of_one_picture(engine: DiffusionEngine) -> None:
    for name in ("a", "b"):
        engine.admit(name, a_request(model="sd1", steps=30))
    engine.preview("a", True)
    engine.preview("nobody", True)
    shown: list[str] = []
    while len(shown) < 3:
        shown += [name for name, event in engine.step(0) if isinstance(event, Preview)]
    engine.preview("a", False)
    rest = [event for _ in range(20) for name, event in engine.step(0)]
    assert set(shown) == {"a"}
    assert any(isinstance(event, Step) for event in rest)
    assert not previews(rest)


@pytest.mark.usefixtures("every_step")
def test_nothing_is_told_of_a_picture_after_its_end(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the preview that was in the making then."""
    monkeypatch.setattr("diffusionapi.engine.running._WAIT", 0.0)
    going, made = threading.Event(), jpeg.preview_of

    def late(*arguments: Any) -> Preview:
        going.wait(10)
        return made(*arguments)

    monkeypatch.setattr(previewer, "preview_of", late)
    assert isinstance(watch(engine, a_request(model="sd1", steps=3))[-1], Rendered)
    going.set()
    engine.admit("it", a_request(model="sd1", steps=3))
    told: list[EngineEvent] = []
    while not told or not ended(told):
        told += [event for _, event in engine.step(0)]
    assert not previews(told)


@pytest.mark.usefixtures("every_step")
def test_a_preview_that_fails_costs_the_picture_nothing(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Preview:
        raise MemoryError

    monkeypatch.setattr(previewer, "preview_of", broken)
    monkeypatch.setattr("diffusionapi.engine.running._WAIT", 0.0)
    told = watch(engine, a_request(model="sd1", steps=3))
    assert isinstance(told[-1], Rendered)
    assert not previews(told)


@pytest.mark.usefixtures("every_step")
def test_what_a_checker_has_to_see_first_is_not_shown(
    engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionapi.engine.workshop.Workshop.checks", lambda *_: True)
    assert not previews(watch(engine, a_request(model="sd1", steps=3)))


def test_a_required_checker_sees_every_picture_first(house: Settings) -> None:
    workshop = Workshop(house)
    assert workshop.checks(a_request(model="sd1", safety="required"))
    assert workshop.checks(a_request(model="gone", safety="available"))
    assert not workshop.checks(a_request(model="sd1", safety="available")), "none is installed"
    assert not workshop.checks(a_request(model="gone"))
    workshop.close()


@pytest.mark.usefixtures("every_step")
def test_a_tiny_decoder_is_used_where_it_is_installed(
    house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(house.path(house.taesd_dir) / "taesd")
    monkeypatch.delattr(colours.Colours, "of")
    engine = make_engine(house)
    told = watch(engine, a_request(model="sd1", steps=3))
    assert [opened(one).size for one in previews(told)] == [(64, 64)] * 3
    engine.close()


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_models_that_visit_the_device_are_previewed_too(house: Settings, offload: str) -> None:
    engine = make_engine(house.model_copy(update={"offload": offload}))
    told = watch(engine, a_request(model="sd1", steps=3))
    assert len(previews(told)) == 3
    assert isinstance(told[-1], Rendered)
    engine.close()
