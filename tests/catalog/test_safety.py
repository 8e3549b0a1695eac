"""Where a safety checker is looked for; without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi.catalog.catalog import Catalog

if TYPE_CHECKING:
    from diffusionapi.settings import Settings


def put(folder: Path, *, weights: str = "model.safetensors") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / weights).write_bytes(b"weights")
    return folder


def put_model(settings: Settings, name: str) -> Path:
    folder = settings.path(settings.models_dir) / name
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return folder


def found(settings: Settings, model: str | None = None) -> Path | None:
    catalog = Catalog(settings)
    return catalog.safety_checker(catalog.model(model, "model") if model else None)


def test_where_none_is_there_is_none(settings: Settings) -> None:
    put_model(settings, "plain")
    assert found(settings) is None
    assert found(settings, "plain") is None
    assert found(settings, "fake") is None


def test_that_of_the_model_comes_first_and_the_shared_one_is_for_all_others(settings: Settings) -> None:
    shared = put(settings.path(settings.safety_checker_dir))
    own = put(put_model(settings, "careful") / "safety_checker")
    put_model(settings, "plain")
    assert found(settings, "careful") == own
    assert found(settings, "plain") == found(settings, "fake") == found(settings) == shared


def test_one_inside_a_hub_cache_is_found(settings: Settings) -> None:
    snapshot = put_model(settings, "models--people--careful/snapshots/0123")
    own = put(snapshot / "safety_checker")
    assert found(settings, "people/careful") == own


def test_one_without_its_weights_is_none(settings: Settings) -> None:
    folder = put(put_model(settings, "half") / "safety_checker")
    (folder / "model.safetensors").unlink()
    assert found(settings, "half") is None


def test_a_pickle_counts_only_where_pickles_are_allowed(settings: Settings) -> None:
    folder = put(settings.path(settings.safety_checker_dir), weights="pytorch_model.bin")
    assert found(settings) is None
    assert found(settings.model_copy(update={"allow_pickles": True})) == folder
