"""Trainings in the running set, beside pictures of the same model."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from safetensors.torch import load

from diffusionapi.engine.engine import Taught
from tests.engine.rendering import difference, make_engine, render
from tests.engine.training.lessons import a_training, train

if TYPE_CHECKING:
    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.engine.workshop import Workshop
    from diffusionapi.settings import Settings


def test_a_model_that_has_painted_learns_and_paints_as_before(
    workshop: Workshop, school: Settings, pictures: tuple[str, ...]
) -> None:
    with closing(make_engine(school)) as engine:
        before = render(engine, model="sd1")
        engine.admit(
            "it", a_training(name="engine", pictures=pictures, text_encoder_rate=1e-3, text_encoder_steps=2)
        )
        told: list[EngineEvent] = []
        while not told or not isinstance(told[-1], Taught):
            told += [event for _, event in engine.step(0)]
            assert not told or told[-1].kind != "failed", told
        taught = told[-1]
        assert isinstance(taught, Taught)
        after = render(engine, model="sd1")
    assert difference(before, after) == 0
    alone = train(
        workshop, a_training(name="one", pictures=pictures, text_encoder_rate=1e-3, text_encoder_steps=2)
    )
    lora = load(taught.content)
    assert all((lora[name] == alone.lora[name]).all() for name in alone.lora)
