"""The signs of a prompt that hold for all its steps: AND, brackets of emphasis, BREAK.

The grammar is that of AUTOMATIC1111's web UI as its users document it; docs/prompts.md tells it to ours.
What changes from step to step (`[from:to:when]`, `[a|b]`) is in schedule.py. Nothing here needs torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.core.lora_tags import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator

Piece = tuple[str, float]
"""A run of text and how strongly it counts."""

_USUAL_FACTOR = {")": 1.1, "]": 1 / 1.1}
_CLOSER = {"(": ")", "[": "]"}
_LARGEST_WEIGHT = 1000.0
"""Nested brackets multiply; beyond this nothing but overflow is left of a prompt."""

_NUMBER = re.compile(NUMBER)
_AND = re.compile(r"\bAND\b")
_BREAK = re.compile(r"\bBREAK\b")
_SIGNS = re.compile(
    rf"""
      \\(?P<escaped>[\\()\[\]]?)
    | :\s*(?P<factor>{NUMBER})\s*\)
    | (?P<opener>[(\[])
    | (?P<closer>[)\]])
    | :
    | [^\\()\[\]:]+
    """,
    re.VERBOSE,
)


def subprompts(text: str) -> list[Piece]:
    """The prompts that AND joins, each with its weight: `a cat AND a dog :0.5`.

    A prompt without AND is taken whole: "a clock at 12:30" has no weight of 30.
    """
    parts = _AND.split(text)
    return [(text, 1.0)] if len(parts) == 1 else [_subprompt(one) for one in parts]


def _subprompt(part: str) -> Piece:
    text, _, number = part.rpartition(":")
    if _NUMBER.fullmatch(number.strip()) and ":" in part:
        return text.strip(), float(number)
    return part.strip(), 1.0


def weights(text: str) -> list[Piece]:
    """The text in runs of one weight, without the signs that say so."""
    return [piece for section in sections(text) for piece in section]


def sections(text: str) -> list[list[Piece]]:
    """The same, divided at every BREAK; a section may be empty."""
    found: list[list[Piece]] = [[]]
    for run in _runs(text):
        section = found[-1]
        if run.text is None:
            found.append([])
        elif section and section[-1][1] == run.weight:
            section[-1] = (section[-1][0] + run.text, run.weight)
        elif run.text:
            section.append((run.text, run.weight))
    return found


@dataclass(frozen=True, slots=True)
class _Run:
    text: str | None
    """None is a BREAK."""
    weight: float


def _runs(text: str) -> Iterator[_Run]:
    """Every stretch of text with the product of the brackets around it; round and square ones may cross."""
    signs = list(_SIGNS.finditer(text))
    factors, closing = _matched(signs)
    products = {")": [1.0], "]": [1.0]}
    for place, sign in enumerate(signs):
        if sign["opener"]:
            around = products[_CLOSER[sign["opener"]]]
            around.append(_bounded(around[-1] * factors[place]))
        elif place in closing:
            products[_closer(sign)].pop()
        else:
            weight = _bounded(products[")"][-1] * products["]"][-1])
            words = [sign["escaped"]] if sign["escaped"] is not None else _between_breaks(sign[0])
            yield from (_Run(one, weight) for one in words)


def _matched(signs: list[re.Match[str]]) -> tuple[dict[int, float], set[int]]:
    """The factor of each opening bracket, and which signs close one; what closes nothing is text.

    What is never closed counts to the end of the prompt.
    """
    factors: dict[int, float] = {}
    closing: set[int] = set()
    opened: dict[str, list[int]] = {")": [], "]": []}
    for place, sign in enumerate(signs):
        if sign["opener"]:
            closer = _CLOSER[sign["opener"]]
            opened[closer].append(place)
            factors[place] = _USUAL_FACTOR[closer]
        elif opened.get(_closer(sign)):
            closing.add(place)
            opener = opened[_closer(sign)].pop()
            factors[opener] = float(sign["factor"] or factors[opener])
    return factors, closing


def _closer(sign: re.Match[str]) -> str:
    return ")" if sign["factor"] else sign["closer"] or ""


def _bounded(weight: float) -> float:
    return min(max(weight, -_LARGEST_WEIGHT), _LARGEST_WEIGHT)


def _between_breaks(text: str) -> Iterator[str | None]:
    """The text, with None for every BREAK; white space beside a BREAK belongs to it."""
    parts = _BREAK.split(text)
    for number, part in enumerate(parts):
        trimmed = part
        if number > 0:
            yield None
            trimmed = trimmed.lstrip()
        yield trimmed.rstrip() if number < len(parts) - 1 else trimmed
