"""Files like `.env`: which names they set, and which of those are probably slips."""

from __future__ import annotations

import io
from difflib import get_close_matches
from typing import TYPE_CHECKING

from dotenv.parser import parse_stream

from diffusionapi.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ALIKE = 0.81
"""Just more than DB_PASSWORD is like REDIS_PASSWORD."""
_SHORT = 4
"""Of names of so few letters another letter makes another word: POST is no slip for PORT."""


def names(file: Path) -> Iterator[tuple[int, str]]:
    """Line and name of everything the file sets; Misconfigured names the first line that sets nothing."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{file} is not text in UTF-8") from error
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    for one in parse_stream(io.StringIO(text)):
        # A blank line before a statement belongs to it.
        lines = one.original.string
        number = one.original.line + lines[: len(lines) - len(lines.lstrip())].count("\n")
        if one.error or (one.key is not None and one.value is None):
            raise Misconfigured(f"{file}, line {number}: cannot be read; write NAME=value")
        if one.key is not None:
            yield number, one.key


def doubts(file: Path, known: Sequence[str]) -> Iterator[str]:
    """A sentence for each name that is none of those known but looks like one."""
    for number, name in names(file):
        if name.upper() not in known and (meant := _meant(name.upper(), known)):
            yield f"{file}, line {number}: {name} is no setting; did you mean {meant}?"


def _meant(name: str, known: Sequence[str]) -> str | None:
    slips = [one for one in known if _is_slip(name, one)]
    return next(iter(slips or get_close_matches(name, known, n=1, cutoff=_ALIKE)), None)


def _is_slip(name: str, meant: str) -> bool:
    """One letter is another, or two neighbours are swapped."""
    if len(name) != len(meant):
        return False
    match [at for at in range(len(name)) if name[at] != meant[at]]:
        case [_]:
            return len(name) > _SHORT
        case [one, other]:
            return other == one + 1 and name[one] == meant[other] and name[other] == meant[one]
    return False
