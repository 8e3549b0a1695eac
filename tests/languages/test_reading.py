from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusionapi.languages.reading import languages_of, read, unclear


def told(prompt: str, *names: str) -> list[tuple[str, str | None]]:
    return [(one.text, one.language) for one in read([prompt], names=names)[0]]


def test_brackets_numbers_and_tags_stay_between_the_words() -> None:
    assert told("ein altes Haus, (ein roter Baum:1.3) <lora:haus:0.8> BREAK [der Mond|die Sonne]") == [
        ("ein altes Haus", "de"),
        (", (", None),
        ("ein roter Baum", "de"),
        (":1.3) <lora:haus:0.8> BREAK [", None),
        ("der Mond", "de"),
        ("|", None),
        ("die Sonne", "de"),
        ("]", None),
    ]


def test_a_sentence_with_commas_is_one_passage_and_english_words_behind_it_stay() -> None:
    prompt = "ein Haus, das am Meer steht, mit rotem Dach, masterpiece, 8k"
    assert told(prompt) == [
        ("ein Haus, das am Meer steht, mit rotem Dach", "de"),
        (", masterpiece, 8k", None),
    ]


def test_names_of_textual_inversions_are_no_words() -> None:
    assert told("Schlechte-Hand, ein hässlicher Mann", "schlechte-hand", "c++ (1)") == [
        ("Schlechte-Hand, ", None),
        ("ein hässlicher Mann", "de"),
    ]


def test_and_is_an_english_word_and_a_sign_in_capitals() -> None:
    assert told("eine Katze AND ein Hund :0.5") == [
        ("eine Katze", "de"),
        (" AND ", None),
        ("ein Hund", "de"),
        (" :0.5", None),
    ]
    assert told("cats and dogs") == [("cats and dogs", None)]


def test_the_negative_prompt_is_read_with_the_positive_one() -> None:
    positive, negative = read(["eine Frau mit rotem Hut", "unscharf"])
    assert [one.language for one in positive] == [one.language for one in negative] == ["de"]
    assert languages_of(["eine Frau mit rotem Hut", "чёрная кошка на крыше"]) == ["de", "ru"]
    assert languages_of(["a woman", ""]) == []


def test_what_may_be_in_another_language_is_told() -> None:
    assert unclear(["(statek piracki:1.2), a red house", "molnen"]) == ["statek piracki", "molnen"]
    assert unclear(["a dog", "a red house in a meadow, masterpiece, 8k"]) == []
    assert unclear(["statek piracki"], names=["statek piracki"]) == []
    assert unclear(["ein Haus am See", "кошка"]) == []


@pytest.mark.parametrize("prompt", ["", " ", ",,", "((", "a\\)b:", "<x", "[a|b:0.5]", "\n", "1girl, 2"])
def test_what_is_no_other_language_comes_back_to_the_letter(prompt: str) -> None:
    assert "".join(one.text for one in read([prompt])[0]) == prompt
    assert languages_of([prompt]) == []


@given(st.text(alphabet="ab ,;()[]:|<>\\\n.0猫кÄé", max_size=40))
def test_passages_are_the_prompt(prompt: str) -> None:
    assert "".join(one.text for one in read([prompt])[0]) == prompt
