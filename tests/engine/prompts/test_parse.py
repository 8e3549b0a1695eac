"""What the signs of a prompt mean, case by case from the documented rules."""

from __future__ import annotations

import pytest

from diffusionapi.core.lora_tags import LoraTag, take_loras
from diffusionapi.engine.prompts.parse import Piece, sections, subprompts, weights
from diffusionapi.errors import BadRequest

UP, DOWN = 1.1, 1 / 1.1

WEIGHTS: dict[str, list[Piece]] = {
    # plain text
    "": [],
    "a red fox": [("a red fox", 1)],
    "  spaces,\tand\nlines ": [("  spaces,\tand\nlines ", 1)],
    "a clock at 12:30": [("a clock at 12:30", 1)],
    "{braces} <angles> | # $ %": [("{braces} <angles> | # $ %", 1)],
    # round brackets
    "(fox)": [("fox", UP)],
    "((fox))": [("fox", UP**2)],
    "(((fox)))": [("fox", UP**3)],
    "a (red) fox": [("a ", 1), ("red", UP), (" fox", 1)],
    "(a)(b)": [("ab", UP)],
    "()": [],
    "(a (b) c)": [("a ", UP), ("b", UP**2), (" c", UP)],
    # a weight
    "(fox:1.5)": [("fox", 1.5)],
    "(fox:0.5)": [("fox", 0.5)],
    "(fox:.5)": [("fox", 0.5)],
    "(fox:2)": [("fox", 2)],
    "(fox:1.)": [("fox", 1)],
    "(fox:+1.3)": [("fox", 1.3)],
    "(fox:-0.5)": [("fox", -0.5)],
    "(fox:0)": [("fox", 0)],
    "(fox: 1.5 )": [("fox", 1.5)],
    "(fox :1.5)": [("fox ", 1.5)],
    "(red fox, snow:1.4), day": [("red fox, snow", 1.4), (", day", 1)],
    "(at 12:30:1.2)": [("at 12:30", 1.2)],
    "(a:1.2)(b:1.2)": [("ab", 1.2)],
    "(:1.2)": [],
    # weights in weights multiply
    "(a (b:1.5):2)": [("a ", 2), ("b", 3)],
    "((a:2):0.5)": [("a", 1)],
    "(a [b]:1.1)": [("a ", UP), ("b", 1)],
    "[(a:1.1)]": [("a", 1)],
    # square brackets
    "[fox]": [("fox", DOWN)],
    "[[fox]]": [("fox", DOWN**2)],
    "[fox:1.5)": [("fox:1.5)", DOWN)],
    "[fox:words]": [("fox:words", DOWN)],
    # escapes
    r"\(fox\)": [("(fox)", 1)],
    r"\[fox\]": [("[fox]", 1)],
    r"fox \(red\) (snow)": [("fox (red) ", 1), ("snow", UP)],
    r"(fox \(red\):1.3)": [("fox (red)", 1.3)],
    r"a\\b": [("a\\b", 1)],
    r"\\(fox)": [("\\", 1), ("fox", UP)],
    r"a\b": [("ab", 1)],
    "\\": [],
    r"(fox\:1.5)": [("fox", 1.5)],
    # unbalanced
    "(fox": [("fox", UP)],
    "a (fox in": [("a ", 1), ("fox in", UP)],
    "((fox) in": [("fox", UP**2), (" in", UP)],
    "(fox:1.5": [("fox:1.5", UP)],
    "[fox": [("fox", DOWN)],
    "([fox": [("fox", 1)],
    "fox)": [("fox)", 1)],
    "fox]": [("fox]", 1)],
    "fox:1.5)": [("fox:1.5)", 1)],
    "(fox)) in": [("fox", UP), (") in", 1)],
    "(a [b) c]": [("a ", UP), ("b", 1), (" c", DOWN)],
    # what is no number
    "(fox:1.2.3)": [("fox:1.2.3", UP)],
    "(fox:)": [("fox:", UP)],
    "(fox:.)": [("fox:.", UP)],
    "(fox:1,5)": [("fox:1,5", UP)],
    "(fox:nan)": [("fox:nan", UP)],
    "(fox:1e3)": [("fox:1e3", UP)],
}

SECTIONS: dict[str, list[list[Piece]]] = {
    "fox BREAK snow": [[("fox", 1)], [("snow", 1)]],
    "fox,BREAK,snow": [[("fox,", 1)], [(",snow", 1)]],
    "fox \n BREAK \n snow": [[("fox", 1)], [("snow", 1)]],
    "fox BREAK": [[("fox", 1)], []],
    "BREAK fox": [[], [("fox", 1)]],
    "fox BREAK BREAK snow": [[("fox", 1)], [], [("snow", 1)]],
    "BREAK": [[], []],
    "break Break BREAKFAST": [[("break Break BREAKFAST", 1)]],
    "(fox BREAK snow:1.3)": [[("fox", 1.3)], [("snow", 1.3)]],
    "a (fox) BREAK b": [[("a ", 1), ("fox", UP)], [("b", 1)]],
}

SUBPROMPTS: dict[str, list[Piece]] = {
    "fox": [("fox", 1)],
    "fox AND owl": [("fox", 1), ("owl", 1)],
    "fox :1.2 AND owl AND bear:2": [("fox", 1.2), ("owl", 1), ("bear", 2)],
    "fox AND owl : -0.5": [("fox", 1), ("owl", -0.5)],
    "fox and owl, BAND, ANDES": [("fox and owl, BAND, ANDES", 1)],
    "(fox:1.3) AND (owl:0.7) :0.5": [("(fox:1.3)", 1), ("(owl:0.7)", 0.5)],
    "fox AND": [("fox", 1), ("", 1)],
    "a clock at 12:30": [("a clock at 12:30", 1)],
    "fox: red AND owl": [("fox: red", 1), ("owl", 1)],
    "0.5 AND owl": [("0.5", 1), ("owl", 1)],
    "fox\nAND\nowl:.5": [("fox", 1), ("owl", 0.5)],
}

LORAS: dict[str, tuple[str, list[LoraTag]]] = {
    "fox": ("fox", []),
    "fox <lora:paper:0.8>": ("fox ", [LoraTag("paper", 0.8, 0.8)]),
    "<lora:paper>fox": ("fox", [LoraTag("paper", 1, 1)]),
    "<lora:paper:0.5:0.9>": ("", [LoraTag("paper", 0.9, 0.5)]),
    "<lora:paper:te=0.5:unet=0.9>": ("", [LoraTag("paper", 0.9, 0.5)]),
    "<lora:paper:unet=0.9>": ("", [LoraTag("paper", 0.9, 1)]),
    "<lora:paper:-1>": ("", [LoraTag("paper", -1, -1)]),
    "<lora: my paper v1.0 : 0.3 >": ("", [LoraTag("my paper v1.0", 0.3, 0.3)]),
    "a <lora:x:1> b <lora:y:.5> c": ("a  b  c", [LoraTag("x", 1, 1), LoraTag("y", 0.5, 0.5)]),
    "<lyco:paper:0.8>": ("", [LoraTag("paper", 0.8, 0.8)]),
    "<hypernet:paper:0.8> <3 <b>": ("<hypernet:paper:0.8> <3 <b>", []),
    "<lora:paper": ("<lora:paper", []),
    "(fox<lora:x:1>:1.2)": ("(fox:1.2)", [LoraTag("x", 1, 1)]),
}


@pytest.mark.parametrize("text", WEIGHTS)
def test_brackets_say_how_strongly_words_count(text: str) -> None:
    found = weights(text)
    assert [words for words, _ in found] == [words for words, _ in WEIGHTS[text]]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in WEIGHTS[text]])


@pytest.mark.parametrize("text", SECTIONS)
def test_break_divides_a_prompt(text: str) -> None:
    found = sections(text)
    assert [[words for words, _ in one] for one in found] == [
        [words for words, _ in one] for one in SECTIONS[text]
    ]
    assert [weight for one in found for _, weight in one] == pytest.approx(
        [weight for one in SECTIONS[text] for _, weight in one]
    )


@pytest.mark.parametrize("text", SUBPROMPTS)
def test_and_joins_prompts_with_weights(text: str) -> None:
    assert subprompts(text) == SUBPROMPTS[text]


@pytest.mark.parametrize("text", LORAS)
def test_lora_tags_are_taken_out_of_the_text(text: str) -> None:
    assert take_loras(text) == LORAS[text]


@pytest.mark.parametrize(
    "tag", ["<lora:x:heavy>", "<lora:x:0,8>", "<lora:x:>", "<lora::1>", "<lora:x:1:1:4>", "<lora:x:dyn=4>"]
)
def test_a_lora_tag_that_cannot_be_read_is_refused_by_name(tag: str) -> None:
    with pytest.raises(BadRequest, match="lora") as refused:
        take_loras(f"fox {tag}")
    assert refused.value.field == "prompt"
    assert tag in refused.value.problem


def test_weights_stay_finite_however_deep_they_are_nested() -> None:
    text = "(" * 50 + "fox" + ":999999999)" * 50
    assert weights(text) == [("fox", 1000)]
