"""Tokens of the real CLIP vocabulary, and how they fill chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from diffusionapi.engine.prompts import parse
from diffusionapi.engine.prompts.chunks import CHUNK, Names, Unit, Vocabulary, batch, chunked, units

if TYPE_CHECKING:
    from tests.engine.prompts.conftest import Model

COMMA = 267
FOX, RED = 3240, 736


def chunks_of(text: str, vocabulary: Vocabulary, names: Names | None = None) -> list[list[Unit]]:
    sections = parse.sections(text)
    return chunked((units(one, vocabulary, names or {}) for one in sections), vocabulary.comma)


def lengths(text: str, vocabulary: Vocabulary, names: Names | None = None) -> list[int]:
    return [sum(unit.length for unit in one) for one in chunks_of(text, vocabulary, names)]


def test_a_prompt_has_the_tokens_clip_is_known_to_give(vocabulary: Vocabulary) -> None:
    ids = batch(chunks_of("a photo of an astronaut riding a horse on mars", vocabulary), vocabulary).ids
    known = [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 525, 7496, 49407]
    assert ids.tolist() == [known + [49407] * 65]
    assert vocabulary.comma == COMMA
    assert vocabulary.ids("red fox") == [RED, FOX]


def test_a_chunk_is_the_tokenizers_own_padding(model: Model) -> None:
    for tokenizer in model.tokenizers:
        for text in ("", "fox", "a photograph of an astronaut riding a horse, 4k", "fox " * 75):
            own = tokenizer(text, padding="max_length", max_length=77, return_tensors="pt").input_ids
            vocabulary = Vocabulary(tokenizer)
            assert torch.equal(batch(chunks_of(text, vocabulary), vocabulary).ids, own)


def test_open_clip_pads_with_another_token(sd2: Model) -> None:
    vocabulary = Vocabulary(sd2.pipeline.tokenizer)
    ids = batch(chunks_of("fox", vocabulary), vocabulary).ids
    assert ids.tolist() == [[49406, FOX, 49407] + [0] * 74]


def test_a_long_prompt_fills_one_chunk_after_another(vocabulary: Vocabulary) -> None:
    assert lengths("", vocabulary) == [0]
    assert lengths("fox " * 75, vocabulary) == [75]
    assert lengths("fox " * 76, vocabulary) == [75, 1]
    assert lengths("fox " * 200, vocabulary) == [75, 75, 50]


def test_what_follows_a_late_comma_moves_on_whole(vocabulary: Vocabulary) -> None:
    # the comma is the 71st token: 4 tokens follow it, and move
    assert lengths("fox " * 70 + "," + "red " * 10, vocabulary) == [71, 10]
    # the 56th is the first of the last twenty
    assert lengths("fox " * 55 + "," + "red " * 30, vocabulary) == [56, 30]
    assert lengths("fox " * 54 + "," + "red " * 30, vocabulary) == [75, 10]
    # the last of several
    assert lengths("fox " * 60 + "," + "red " * 8 + "," + "red " * 20, vocabulary) == [70, 20]
    # nothing moves when all fits, or when the comma ends the chunk
    assert lengths("fox " * 70 + "," + "red " * 4, vocabulary) == [75]
    assert lengths("fox " * 74 + "," + "red " * 4, vocabulary) == [75, 4]
    # a comma after a full chunk starts the next one
    assert lengths("fox " * 60 + "," + "red " * 14 + ", fox", vocabulary) == [75, 2]


def test_a_moved_phrase_keeps_its_order_and_weights(vocabulary: Vocabulary) -> None:
    first, second = chunks_of("fox " * 70 + ", (" + "red " * 6 + ":1.4) fox", vocabulary)
    assert [one.token for one in first] == [FOX] * 70 + [COMMA]
    assert [one.token for one in second] == [RED] * 6 + [FOX]
    assert [one.weight for one in second] == [1.4] * 6 + [1.0]


def test_break_starts_a_chunk(vocabulary: Vocabulary) -> None:
    assert lengths("fox BREAK red red", vocabulary) == [1, 2]
    assert lengths("fox BREAK", vocabulary) == [1]
    assert lengths("BREAK fox", vocabulary) == [0, 1]
    assert lengths("fox BREAK BREAK fox", vocabulary) == [1, 0, 1]
    assert lengths("BREAK", vocabulary) == [0]
    assert lengths("fox " * 80 + "BREAK" + " fox" * 3, vocabulary) == [75, 5, 3]


def test_weights_stand_at_their_tokens_and_nowhere_else(vocabulary: Vocabulary) -> None:
    weights = batch(chunks_of("a (red fox:1.5) [in] snow BREAK (owl:0.2)", vocabulary), vocabulary).weights
    expected = torch.ones(2, CHUNK)
    expected[0, 2:4], expected[0, 4], expected[1, 1] = 1.5, 1 / 1.1, 0.2
    torch.testing.assert_close(weights, expected)


def test_an_embedding_takes_the_place_of_its_name(vocabulary: Vocabulary) -> None:
    names: Names = {
        tuple(vocabulary.ids("red fox")): torch.ones(3, 4),
        tuple(vocabulary.ids("red")): torch.zeros(2, 4),
    }
    chunks = chunks_of("a Red  Fox, red owl, (red:1.5)", vocabulary, names)
    assert [one.length for one in chunks[0]] == [1, 3, 1, 2, 1, 1, 2]
    found = batch(chunks, vocabulary)
    assert [(row, place, len(rows)) for row, place, rows in found.vectors] == [
        (0, 2, 3),
        (0, 6, 2),
        (0, 10, 2),
    ]
    assert found.ids[0, 2:5].tolist() == [0, 0, 0]
    assert found.weights[0, 10:12].tolist() == [1.5, 1.5]


def test_the_vectors_of_an_embedding_stay_together(vocabulary: Vocabulary) -> None:
    names: Names = {(FOX,): torch.ones(10, 4)}
    assert lengths("red " * 65 + "fox", vocabulary, names) == [75]
    assert lengths("red " * 66 + "fox", vocabulary, names) == [66, 10]
    assert lengths("red " * 50 + ", fox" + " red" * 20, vocabulary, names) == [75, 6]
    assert lengths("red " * 60 + ", fox" + " red" * 20, vocabulary, names) == [61, 30]


def test_half_a_surrogate_pair_is_no_reason_to_fail(vocabulary: Vocabulary) -> None:
    assert vocabulary.ids("fox \ud83e") == vocabulary.ids("fox ?")
