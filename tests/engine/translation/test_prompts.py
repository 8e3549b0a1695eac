"""Pictures of prompts in other languages are those of the prompts in English."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import torch

from diffusionapi.catalog.translators import find
from diffusionapi.core.events import Failed
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.models import building
from diffusionapi.engine.translation.model import load
from diffusionapi.infotext import grammar
from diffusionapi.infotext.files import texts
from tests.engine.rendering import make_engine, make_house, picture, run
from tests.engine.translation import miniatures
from tests.factories import a_request

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings

GERMAN = "eine schwarze Katze auf dem Dach"


@pytest.fixture
def house(tmp_path: Path, sd1_folder: Path) -> Settings:
    settings = make_house(tmp_path, {"mini": sd1_folder})
    miniatures.make_marian(settings.path(settings.translators_dir) / "opus-mt-de-en")
    return settings


def english(house: Settings, *texts: str) -> list[str]:
    [translator] = find(house.path(house.translators_dir))
    model = load(translator)
    return [model.english(text, "de") for text in texts]


def test_the_translation_is_painted_told_and_kept_in_the_file(house: Settings) -> None:
    cat, rose, negative = english(house, GERMAN, "ein altes Haus", "unscharfe Bilder")
    engine = make_engine(house)
    prompt = f"({GERMAN}:1.2), masterpiece, [ein altes Haus|a tree]"
    foreign = a_request(model="mini", prompt=prompt, negative_prompt="unscharfe Bilder", translate=True)
    same = a_request(
        model="mini", prompt=f"({cat}:1.2), masterpiece, [{rose}|a tree]", negative_prompt=negative
    )
    # One after the other: pictures that share calls of the network differ in their last bits.
    told = run(engine, foreign=foreign) | run(engine, same=same)
    last = told["foreign"][-1]
    assert isinstance(last, Rendered), last
    assert last.sampled is not None
    assert last.sampled.translated == (same.prompt, same.negative_prompt)
    assert picture(told["foreign"]).tobytes() == picture(told["same"]).tobytes()
    kept = texts(last.content)
    assert kept is not None
    settings = grammar.read(str(kept.settings))
    assert (settings["prompt"], settings["negative_prompt"]) == (same.prompt, same.negative_prompt)


def test_english_is_painted_to_the_letter(house: Settings) -> None:
    engine = make_engine(house)
    asked = a_request(model="mini", prompt="a (black:1.1) cat on the roof,  best quality", translate=True)
    plain = a_request(model="mini", prompt=asked.prompt)
    told = run(engine, asked=asked) | run(engine, plain=plain)
    last = told["asked"][-1]
    assert isinstance(last, Rendered), last
    assert last.sampled is not None
    assert last.sampled.translated is None
    assert picture(told["asked"]).tobytes() == picture(told["plain"]).tobytes()


def test_a_language_that_nothing_translates_is_no_picture(house: Settings) -> None:
    asked = a_request(model="mini", prompt="чёрная кошка на крыше", translate=True)
    last = run(make_engine(house), it=asked)["it"][-1]
    assert isinstance(last, Failed)
    assert "Russian" in last.failure.sentence


def test_without_being_asked_nothing_is_translated(house: Settings) -> None:
    last = run(make_engine(house), it=a_request(model="mini", prompt=GERMAN))["it"][-1]
    assert isinstance(last, Rendered)
    assert last.sampled is not None
    assert last.sampled.translated is None


def test_a_better_model_is_heard_as_soon_as_it_is_installed(house: Settings) -> None:
    folder = house.path(house.translators_dir)
    engine = make_engine(house)
    (folder / "opus-mt-de-en").rename(folder / "opus-mt-mul-en")
    (folder / "opus-mt-mul-en" / "tokenizer_config.json").unlink()
    asked = a_request(model="mini", prompt=GERMAN, translate=True)
    first = picture(run(engine, it=asked)["it"]).tobytes()
    miniatures.make_marian(folder / "opus-mt-de-en", seed=7)
    assert picture(run(engine, it=asked)["it"]).tobytes() != first


def test_its_memory_can_be_had_back(house: Settings) -> None:
    engine = make_engine(house)
    asked = a_request(model="mini", prompt=GERMAN, translate=True)
    first = picture(run(engine, it=asked)["it"]).tobytes()
    engine._workshop.free_memory()  # noqa: SLF001 - as when the device is full
    assert picture(run(engine, it=asked)["it"]).tobytes() == first


def test_models_can_be_built_while_a_translator_is(house: Settings) -> None:
    [translator] = find(house.path(house.translators_dir))
    stop = threading.Event()

    def build() -> None:
        while not stop.is_set():
            with building.empty():
                torch.nn.Linear(2, 2)

    builder = threading.Thread(target=build)
    builder.start()
    try:
        networks = [load(translator).network for _ in range(5)]
    finally:
        stop.set()
        builder.join()
    assert not any(weights.is_meta for one in networks for weights in one.parameters())
