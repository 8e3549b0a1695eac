"""What holds for any text at all."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusionapi.core.lora_tags import take_loras
from diffusionapi.engine.prompts.parse import sections, subprompts, weights
from diffusionapi.engine.prompts.schedule import scheduled
from diffusionapi.errors import BadRequest

SIGNS = ["(", ")", "[", "]", ":", "|", "\\", ":1.2)", ":3]", ":0.5]", " AND ", " BREAK ", "<lora:", ">", ","]

anything = st.text()
prompts = st.lists(st.one_of(st.sampled_from(SIGNS), st.text("ab .5-\n", max_size=4)), max_size=40).map(
    "".join
)
plain = st.text(st.characters(blacklist_characters="\\()[]:|")).filter(lambda one: "BREAK" not in one)
words = st.text("abcde, ", max_size=8)


def bare(text: str) -> str:
    """The words alone: no signs, no numbers, no white space."""
    return "".join(one for one in text if one.isalpha())


@given(st.one_of(anything, prompts), st.integers(1, 40), st.none() | st.integers(1, 40))
def test_nothing_one_can_write_breaks_the_grammar(text: str, steps: int, first_pass: int | None) -> None:
    plan = scheduled(text, steps, first_pass)
    assert [last for last, _ in plan] == sorted({last for last, _ in plan})
    assert plan[-1][0] == steps
    for part, strength in subprompts(text):
        assert math.isfinite(strength)
        assert all(math.isfinite(weight) for _, weight in weights(part))
    assert len(sections(text)) >= 1


@given(st.one_of(anything, prompts))
def test_lora_tags_are_taken_or_refused(text: str) -> None:
    try:
        rest, tags = take_loras(text)
    except BadRequest:
        return
    assert len(rest) <= len(text)
    assert all(tag.name and math.isfinite(tag.scale) for tag in tags)


@given(plain)
def test_plain_text_is_kept_and_counts_once(text: str) -> None:
    assert weights(text) == ([(text, 1.0)] if text else [])
    assert scheduled(text, 10) == [(10, text)]


@given(prompts.filter(lambda one: "BREAK" not in one))
def test_brackets_take_no_words_away(text: str) -> None:
    assert bare("".join(words for words, _ in weights(text))) == bare(text)


@given(words, st.floats(0.05, 3).map(lambda one: round(one, 2)))
def test_a_weight_is_what_was_written(text: str, weight: float) -> None:
    assert weights(f"({text}:{weight})") == ([(text, weight)] if text else [])


@given(words, words, st.integers(1, 9))
def test_a_switch_has_both_its_texts(before: str, after: str, when: int) -> None:
    texts = [text for _, text in scheduled(f"[{before}:{after}:{when}]", 10)]
    assert texts == ([before, after] if before != after else [before])


@given(prompts)
def test_an_escaped_text_is_the_text(text: str) -> None:
    for sign in (":", "|", "BREAK"):
        text = text.replace(sign, "")
    escaped = "".join(f"\\{one}" if one in "\\()[]" else one for one in text)
    assert "".join(words for words, _ in weights(escaped)) == text
    assert scheduled(escaped, 5) == [(5, escaped)]


HOSTILE = ["(", "[", "]", "[(", "[a:", "(a", "a)", ":", " ", "<lora:", "[a|", "\\", "BREAK"]


@pytest.mark.parametrize("part", HOSTILE)
def test_a_hostile_prompt_takes_no_more_time_than_a_long_one(part: str) -> None:
    text = part * 20_000
    started = time.process_time()
    scheduled(text, 20)
    sections(text)
    subprompts(text)
    take_loras(text)
    assert time.process_time() - started < 5
