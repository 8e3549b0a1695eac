"""The picture book's tokenizer: its world's words are whole, and everybody reads them alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffusionapi.engine.models.tokenizers import read_tokenizer
from diffusionapi.weights.families import TEXT_ENCODERS
from training.picturebook import tokenizer
from training.picturebook.world.captions import words

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = (
    "a red circle on a white background",
    "An Orange CAT, in a meadow  at sunset, masterpiece",
    "a dragon (unknown) no. 7, caf\u00e9",
    "",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    tokenizer.make(made)
    return made


def test_every_word_of_the_world_is_one_token(folder: Path) -> None:
    read = tokenizer.load(folder)
    read_words = [word for word in words() if word.isalpha()]  # "8k" is two: CLIP parts digits from letters
    assert [word for word in read_words if len(read.tokenize(word)) != 1] == []


@pytest.mark.parametrize("word", ["dragon", "zebra", "qwxzy"])
def test_an_unknown_word_falls_apart(folder: Path, word: str) -> None:
    parts = tokenizer.load(folder).tokenize(word)
    assert len(parts) > 1
    assert "".join(parts) == f"{word}</w>"


@pytest.mark.parametrize("text", TEXTS)
def test_diffusers_and_the_engine_read_alike(folder: Path, text: str) -> None:
    how = {"padding": "max_length", "truncation": True, "max_length": tokenizer.LENGTH}
    engine = read_tokenizer(folder, TEXT_ENCODERS["sd1"][0])
    assert engine(text, **how).input_ids == tokenizer.load(folder)(text, **how).input_ids


def test_it_is_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    tokenizer.make(tmp_path)
    for file in ("vocab.json", "merges.txt"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()
