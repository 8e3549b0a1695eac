"""Reads prompts as passages: words in some language, and what stays as it is whatever they mean.

Signs stay: brackets and their numbers, `|`, tags, BREAK and AND, and the names of textual inversions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from diffusionapi.languages.detection import detect, doubtful

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_SIGNS = r"<[^<>]*> | \\. | [()\[\]|:\n\r] | \b(?:BREAK|AND)\b | \#[\w@]+"
_COMMAS = re.compile(r"(\s*[,;\uff0c\u3001\uff1b]\s*)")
"""Between them the language may change; a passage in one language has them inside."""
_EDGES = re.compile(r"(\s*)(.*?)(\s*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passage:
    text: str
    language: str | None
    """None: it stays as it is."""


def read(
    prompts: Sequence[str], *, names: Iterable[str] = (), rather: Collection[str] = ()
) -> list[list[Passage]]:
    """The passages of each prompt, which together are it. Their languages are told from all prompts."""
    signs = _pattern(names)
    pieces = [[piece for run in _runs(prompt, signs) for piece in run] for prompt in prompts]
    spoken = [piece.text for prompt in pieces for piece in prompt if piece.spoken]
    languages = iter(detect(spoken, rather))
    return [
        _joined([(piece, next(languages) if piece.spoken else None) for piece in prompt]) for prompt in pieces
    ]


def languages_of(
    prompts: Sequence[str], *, names: Iterable[str] = (), rather: Collection[str] = ()
) -> list[str]:
    """Those that the prompts would have to be translated from, in the order in which they come."""
    passages = (one for prompt in read(prompts, names=names, rather=rather) for one in prompt)
    return list(dict.fromkeys(one.language for one in passages if one.language is not None))


def unclear(prompts: Sequence[str], *, names: Iterable[str] = (), rather: Collection[str] = ()) -> list[str]:
    """What is taken for English, and may be in another language."""
    signs = _pattern(names)
    pieces = (piece for prompt in prompts for run in _runs(prompt, signs) for piece in run)
    spoken = [piece.text.strip() for piece in pieces if piece.spoken]
    told = zip(spoken, detect(spoken, rather), strict=True)
    return list(dict.fromkeys(text for text, language in told if language is None and doubtful(text)))


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    run: int
    """Which stretch between signs it belongs to; -1 for a sign."""
    spoken: bool = False


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name)
    named = rf" | (?<!\w)(?i:{known})(?!\w)" if known else ""
    return re.compile(f"({_SIGNS}{named})", re.VERBOSE)


def _runs(prompt: str, signs: re.Pattern[str]) -> Iterable[list[_Piece]]:
    for number, text in enumerate(signs.split(prompt)):
        if number % 2:
            yield [_Piece(text, -1)]
        else:
            yield [
                _Piece(one, number, spoken=place % 2 == 0 and any(letter.isalpha() for letter in one))
                for place, one in enumerate(_COMMAS.split(text))
                if one
            ]


def _joined(pieces: list[tuple[_Piece, str | None]]) -> list[Passage]:
    """Neighbours of one language make one passage, with the commas between; white space around it stays."""
    told = _with_commas(pieces)
    passages: list[Passage] = []
    for (_, language), group in groupby(told, key=lambda one: (one[0].run if one[1] else None, one[1])):
        text = "".join(piece.text for piece, _ in group)
        if language is None:
            passages.append(Passage(text, None))
            continue
        found = _EDGES.fullmatch(text)
        assert found is not None
        before, words, after = found.groups()
        passages += [Passage(before, None), Passage(words, language), Passage(after, None)]
    return _merged(passages)


def _merged(passages: list[Passage]) -> list[Passage]:
    """What stays as it is, in as few pieces as can be."""
    merged: list[Passage] = []
    for one in passages:
        if merged and one.language is None and merged[-1].language is None:
            merged[-1] = Passage(merged[-1].text + one.text, None)
        elif one.text:
            merged.append(one)
    return merged


def _with_commas(pieces: list[tuple[_Piece, str | None]]) -> list[tuple[_Piece, str | None]]:
    """Whatever stands between two pieces of one language in one run, is in that language."""
    told = list(pieces)
    spoken = [place for place, (piece, _) in enumerate(pieces) if piece.spoken]
    for one, other in pairwise(spoken):
        (first, language), (second, same) = pieces[one], pieces[other]
        if language is not None and language == same and first.run == second.run:
            told[one + 1 : other] = [(piece, language) for piece, _ in pieces[one + 1 : other]]
    return told
