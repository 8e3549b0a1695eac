"""Prompts that change from step to step, case by case from the documented rules, over ten steps."""

from __future__ import annotations

import pytest

from diffusionapi.engine.prompts.schedule import scheduled

CASES: dict[str, list[tuple[int, str]]] = {
    # nothing changes
    "": [(10, "")],
    "fox": [(10, "fox")],
    "(fox:1.2) [owl] a:b|c": [(10, "(fox:1.2) [owl] a:b|c")],
    # from, to, when
    "[fox:owl:4]": [(4, "fox"), (10, "owl")],
    "[fox:owl:0.4]": [(4, "fox"), (10, "owl")],
    "[fox:owl:.25]": [(2, "fox"), (10, "owl")],
    "[fox:owl: 4 ]": [(4, "fox"), (10, "owl")],
    "[fox:owl:+4]": [(4, "fox"), (10, "owl")],
    "a [fox:owl:4], day": [(4, "a fox, day"), (10, "a owl, day")],
    "[ fox : owl :4]": [(4, " fox "), (10, " owl ")],
    "[5:10:4]": [(4, "5"), (10, "10")],
    # without from, without to
    "a [fox:4]": [(4, "a "), (10, "a fox")],
    "a [fox::4]": [(4, "a fox"), (10, "a ")],
    "[5:4]": [(4, ""), (10, "5")],
    "a[:4]b": [(10, "ab")],
    # at the ends
    "[fox:owl:0]": [(10, "owl")],
    "[fox:owl:0.0]": [(10, "owl")],
    "[fox:owl:-1]": [(10, "owl")],
    "[fox:owl:0.05]": [(10, "owl")],
    "[fox:owl:1]": [(1, "fox"), (10, "owl")],
    "[fox:owl:1.0]": [(10, "fox")],
    "[fox:owl:10]": [(10, "fox")],
    "[fox:owl:99]": [(10, "fox")],
    "[fox:owl:9]": [(9, "fox"), (10, "owl")],
    # several, and in each other
    "[a:b:2] [c:d:5]": [(2, "a c"), (5, "b c"), (10, "b d")],
    "[a:b:5] [c:d:0.5]": [(5, "a c"), (10, "b d")],
    "[a:[b:c:6]:3]": [(3, "a"), (6, "b"), (10, "c")],
    "[[a:b:3]:c:6]": [(3, "a"), (6, "b"), (10, "c")],
    "[[a:b:6]:c:3]": [(3, "a"), (10, "c")],
    "[[a::6]:3]": [(3, ""), (6, "a"), (10, "")],
    # brackets of emphasis
    "([a:b:5]:1.3)": [(5, "(a:1.3)"), (10, "(b:1.3)")],
    "[(a:1.3):(b:0.7):5]": [(5, "(a:1.3)"), (10, "(b:0.7)")],
    "[[[a]]:5]": [(5, ""), (10, "[[a]]")],
    "[(a:2):5]": [(5, ""), (10, "(a:2)")],
    # alternation
    "[a|b]": [(step, "ab"[(step - 1) % 2]) for step in range(1, 11)],
    "[a|b|c]": [(step, "abc"[(step - 1) % 3]) for step in range(1, 11)],
    "wo[|lf]": [(step, ("wo", "wolf")[(step - 1) % 2]) for step in range(1, 11)],
    "[a|a]": [(10, "a")],
    "[a|(b:1.2)]": [(step, ("a", "(b:1.2)")[(step - 1) % 2]) for step in range(1, 11)],
    "[[a|b]:c:3]": [(1, "a"), (2, "b"), (3, "a"), (10, "c")],
    "[a|[b:c:8]]": [(step, ("a", "b" if step <= 8 else "c")[(step - 1) % 2]) for step in range(1, 11)],
    # escapes stay for the brackets of emphasis to read
    r"\[a:b:5\]": [(10, r"\[a:b:5\]")],
    r"[a\:b:c:5]": [(5, r"a\:b"), (10, "c")],
    r"[a\|b|c\]]": [(step, (r"a\|b", r"c\]")[(step - 1) % 2]) for step in range(1, 11)],
    # what does not parse is text
    "[a:b]": [(10, "[a:b]")],
    "[a:b:c]": [(10, "[a:b:c]")],
    "[a:b:c:5]": [(10, "[a:b:c:5]")],
    "[a:b:five]": [(10, "[a:b:five]")],
    "[a:b:1e1]": [(10, "[a:b:1e1]")],
    "[a:b:5": [(10, "[a:b:5")],
    "a:b:5]": [(10, "a:b:5]")],
    "[a (b:5]": [(10, "[a (b:5]")],
    "[a ) b:5]": [(10, "[a ) b:5]")],
    "(a [b:c:5]": [(5, "(a b"), (10, "(a c")],
    "[a [b:c:5]": [(5, "[a b"), (10, "[a c")],
    "[a (b] [c:5]": [(5, "[a (b] "), (10, "[a (b] c")],
    "a) [b:c:5]": [(5, "a) b"), (10, "a) c")],
    "a | b [c:d:5]": [(5, "a | b c"), (10, "a | b d")],
    "[a|b:c:5]": [(5, "a|b"), (10, "c")],
    "(a [b) c:d:5]": [(10, "(a [b) c:d:5]")],
}


@pytest.mark.parametrize("text", CASES)
def test_each_step_has_its_text(text: str) -> None:
    assert scheduled(text, 10) == CASES[text]


def test_a_fraction_is_of_the_steps_there_are() -> None:
    assert scheduled("[a:b:0.5]", 30) == [(15, "a"), (30, "b")]
    assert scheduled("[a:b:0.5]", 7) == [(3, "a"), (7, "b")]
    assert scheduled("[a:b:0.5]", 1) == [(1, "b")]


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("[a:b:5]", [(10, "b")]),
        ("[a:b:0.5]", [(10, "b")]),
        ("[a:b:1.0]", [(10, "b")]),
        ("[a:b:1.5]", [(5, "a"), (10, "b")]),
        ("[a:b:20]", [(10, "b")]),
        ("[a:b:24]", [(4, "a"), (10, "b")]),
        ("[a:b:2.0]", [(10, "a")]),
        ("[a|b]", [(step, "ab"[(step - 1) % 2]) for step in range(1, 11)]),
    ],
)
def test_a_second_pass_goes_on_counting_after_the_first(text: str, second: list[tuple[int, str]]) -> None:
    assert scheduled(text, 10, first_pass=20) == second


def test_brackets_nested_beyond_reason_are_text() -> None:
    deep = "[" * 5000 + "a" + ":3]" * 5000
    ends = [last for last, _ in scheduled(deep, 10)]
    assert ends[-1] == 10
    assert scheduled("[" * 5000, 10) == [(10, "[" * 5000)]
