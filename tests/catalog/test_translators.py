"""What translates prompts, told from configurations and names, and what is said where nothing does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.catalog import translators
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.errors import BadRequest
from diffusionapi.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def install(
    house: Settings, name: str, kind: str = "marian", *, weights: bool = True, **tokenizer: Any
) -> None:
    folder = house.path(house.translators_dir) / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    if tokenizer:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    if weights:
        (folder / "pytorch_model.bin").touch()


def chosen(house: Settings, language: str) -> str | None:
    one = translators.choose(Catalog(house).translators, language)
    return one.name if one else None


def test_the_narrowest_that_knows_a_language_is_chosen(house: Settings) -> None:
    install(house, "opus-mt-mul-en", source_lang="mul", target_lang="en")
    install(house, "mbart-large-50-many-to-one-mmt", "mbart")
    install(house, "opus-mt-de-en", source_lang="de", target_lang="en")
    install(house, "opus-mt-ROMANCE-en")
    assert chosen(house, "de") == "opus-mt-de-en"
    assert chosen(house, "fr") == "opus-mt-ROMANCE-en"
    assert chosen(house, "ja") == "mbart-large-50-many-to-one-mmt"
    assert chosen(house, "is") == "opus-mt-mul-en"


def test_what_does_not_lead_to_english_or_is_not_there_is_none(house: Settings) -> None:
    install(house, "opus-mt-en-de")
    install(house, "opus-mt-de-en", weights=False)
    install(house, "bert", "bert")
    install(house, "opus-mt-tc-big-zle-en")
    assert [one.name for one in Catalog(house).translators] == ["opus-mt-tc-big-zle-en"]
    assert chosen(house, "uk") == "opus-mt-tc-big-zle-en"


def test_a_folder_of_a_hubs_cache_is_one_too(house: Settings) -> None:
    install(house, "models--Helsinki-NLP--opus-mt-pl-en/snapshots/0123")
    assert chosen(house, "pl") == "opus-mt-pl-en"


def test_a_prompt_that_nothing_translates_is_refused_with_what_would(house: Settings) -> None:
    why = Catalog(house).untranslatable("a cat", "eine schwarze Katze auf dem Dach")
    assert why is not None
    assert "German" in why
    assert "stable_diffusion/translators" in why
    install(house, "opus-mt-de-en")
    assert Catalog(house).untranslatable("a cat", "eine schwarze Katze auf dem Dach") is None
    assert "Russian" in str(Catalog(house).untranslatable("чёрная кошка на крыше"))
    assert Catalog(house).untranslatable("a black cat on the roof", "") is None


def test_of_several_prompts_the_one_that_nothing_translates_is_named(house: Settings) -> None:
    prompts = {"prompt": "a cat", "negative_prompt": "кошка на крыше"}
    catalog = Catalog(house)
    with pytest.raises(BadRequest, match=r"^negative_prompt: it seems to be in Russian"):
        catalog.check_languages(prompts)
    assert catalog.check_languages({"prompt": "a cat", "negative_prompt": ""}) is None
    assert "'statek piracki'" in str(catalog.check_languages({"prompt": "statek piracki"}))


def test_textual_inversions_are_not_translated(house: Settings) -> None:
    embeddings = house.path(house.embeddings_dir)
    embeddings.mkdir(parents=True)
    (embeddings / "кошка.safetensors").touch()
    assert Catalog(house).untranslatable("кошка") is None
