"""What of a prompt holds at which step: `[from:to:when]`, `[to:when]`, `[from::when]` and `[a|b|c]`.

Brackets may stand in each other. What does not parse is left as it stands, so nothing here ever fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby

from diffusionapi.core.lora_tags import NUMBER

_NUMBER = re.compile(NUMBER)
_SIGNS = re.compile(r"\\.|[()\[\]:|]|[^\\()\[\]:|]+|\\", re.DOTALL)
_DEEPEST = 50
"""Brackets in brackets beyond this depth are text."""


class _Divider(str):
    """A `:` or `|` that may divide the bracket it stands in; anywhere else it is text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Switch:
    before: list[_Part]
    after: list[_Part]
    last_step: float
    """`before` holds up to and with this step; steps count from 1."""

    def at(self, step: int) -> str:
        return _text(self.before if step <= self.last_step else self.after, step)


@dataclass(frozen=True, slots=True)
class _Alternation:
    options: list[list[_Part]]

    def at(self, step: int) -> str:
        return _text(self.options[(step - 1) % len(self.options)], step)


_Part = str | _Switch | _Alternation
_When = Callable[[str], float]


@dataclass(slots=True)
class _Open:
    """A bracket that has not been closed yet; the outermost one is the prompt itself."""

    opener: str
    parts: list[_Part] = field(default_factory=list)
    is_text: bool = False
    """It holds something unbalanced, so it divides nothing."""


def scheduled(text: str, steps: int, first_pass: int | None = None) -> list[tuple[int, str]]:
    """The prompts of a pass of `steps` steps, each with the last step it holds for.

    `when` with a decimal point is a fraction of the pass, without one a number of steps. The second pass of
    a picture goes on counting where the first ended: `first_pass` is the steps that had, a fraction of 1.5
    is the middle of the second.
    """

    def last_step(when: str) -> float:
        if "." in when:
            return int(min((float(when) - (first_pass is not None)) * steps, steps))
        return float(when) - (first_pass or 0)

    parts = _parse(text, last_step)
    if all(isinstance(one, str) for one in parts):
        return [(steps, text)]
    texts = ((_text(parts, step), step) for step in range(1, max(steps, 1) + 1))
    return [(list(same)[-1][1], words) for words, same in groupby(texts, key=lambda one: one[0])]


def _text(parts: list[_Part], step: int) -> str:
    return "".join([one if isinstance(one, str) else one.at(step) for one in parts])


def _parse(text: str, when: _When) -> list[_Part]:
    stack = [_Open("")]
    for sign in _SIGNS.findall(text):
        innermost = stack[-1]
        match sign:
            case "(" | "[":
                stack.append(_Open(sign, is_text=len(stack) > _DEEPEST))
            case ")":
                _close_round(stack)
            case "]":
                _close_square(stack, when)
            case ":" | "|" if innermost.opener == "[":
                innermost.parts.append(_Divider(sign))
            case _:
                innermost.parts.append(sign)
    return [part for one in stack for part in (one.opener, *one.parts)]


def _close_round(stack: list[_Open]) -> None:
    if stack[-1].opener == "(":
        closed = stack.pop()
        stack[-1].parts += _as_text("(", closed.parts, ")")
    else:
        stack[-1].parts.append(")")
        stack[-1].is_text = True


def _close_square(stack: list[_Open], when: _When) -> None:
    """Close the last bracket of this kind, and as text whatever was opened in it and is open still."""
    place = next((at for at in range(len(stack) - 1, 0, -1) if stack[at].opener == "["), None)
    if place is None:
        stack[-1].parts.append("]")
        return
    closed = stack[place:]
    del stack[place:]
    divided = None if len(closed) > 1 or closed[0].is_text else _divided(closed[0].parts, when)
    if divided:
        stack[-1].parts.append(divided)
    else:
        inner = [part for one in closed for part in (one.opener, *one.parts)]
        stack[-1].parts += _as_text("", inner, "]")


def _as_text(opener: str, parts: list[_Part], closer: str) -> list[_Part]:
    """The parts in their brackets, in as few parts as can be; dividers in them divide nothing any more."""
    joined: list[_Part] = []
    for one in (opener, *parts, closer):
        if isinstance(one, str) and joined and isinstance(joined[-1], str):
            joined[-1] += one
        else:
            joined.append(str(one) if isinstance(one, str) else one)
    return joined


def _divided(parts: list[_Part], when: _When) -> _Switch | _Alternation | None:
    *texts, last = _split(parts, ":")
    number = "".join(one for one in last if isinstance(one, str)).strip()
    if len(texts) in (1, 2) and _NUMBER.fullmatch(number) and all(isinstance(one, str) for one in last):
        before, after = texts if len(texts) == 2 else ([], texts[0])
        return _Switch(before, after, when(number))
    options = _split(parts, "|")
    return _Alternation(options) if len(options) > 1 and not texts else None


def _split(parts: list[_Part], divider: str) -> list[list[_Part]]:
    found: list[list[_Part]] = [[]]
    for one in parts:
        if isinstance(one, _Divider) and one == divider:
            found.append([])
        else:
            found[-1].append(one)
    return found
