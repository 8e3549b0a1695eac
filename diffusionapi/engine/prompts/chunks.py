"""A prompt as the text encoders read it: windows of 75 tokens between a start and an end token.

A textual inversion stands for several tokens, which are never parted. Where a window is full, what follows a
comma among its last 20 tokens moves to the next one whole, so that a phrase is seldom cut in two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from diffusionapi.engine.prompts.parse import Piece

WINDOW = 75
"""Tokens of a chunk that are the prompt's own."""
CHUNK = WINDOW + 2
BACKTRACK = 20
_PLACEHOLDER = 0
"""The token that an embedding's vectors replace: below the end token, so the pooled vector is still found."""

Names = dict[tuple[int, ...], "Tensor"]
"""The tokens of an embedding's name -> its vectors, of shape (tokens, width)."""


class Vocabulary:
    """What is asked of a CLIP tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.start: int = tokenizer.bos_token_id
        self.end: int = tokenizer.eos_token_id
        self.pad: int = tokenizer.pad_token_id
        self.comma = self.ids(",")[-1]

    def ids(self, text: str) -> list[int]:
        """The tokens of a text of any length. Half a surrogate pair, which no tokenizer takes, is a `?`."""
        whole = text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = self._tokenizer(whole, add_special_tokens=False, verbose=False).input_ids
        return ids


@dataclass(frozen=True, slots=True)
class Unit:
    """What is never parted: one token, or all the vectors of one embedding."""

    token: int
    weight: float
    vectors: Tensor | None = None

    @property
    def length(self) -> int:
        return 1 if self.vectors is None else len(self.vectors)


def units(section: Iterable[Piece], vocabulary: Vocabulary, names: Names) -> Iterator[Unit]:
    """Pieces of text as tokens; where the tokens spell a name, its vectors. The longest name wins."""
    by_length = sorted(names, key=len, reverse=True)
    for text, weight in section:
        ids, place = tuple(vocabulary.ids(text)), 0
        while place < len(ids):
            name = next((one for one in by_length if ids[place : place + len(one)] == one), None)
            if name:
                yield Unit(_PLACEHOLDER, weight, names[name])
            else:
                yield Unit(ids[place], weight)
            place += len(name) if name else 1


def chunked(sections: Iterable[Iterable[Unit]], comma: int) -> list[list[Unit]]:
    """The units in chunks; a section starts a new one. A prompt without words is one empty chunk."""
    chunks: list[list[Unit]] = []
    for section in sections:
        chunks.append([])
        filled = 0
        for unit in section:
            if filled == WINDOW and unit.token != comma:
                chunks.append(_cut_after_comma(chunks[-1], comma))
                filled = sum(one.length for one in chunks[-1])
            if filled + unit.length > WINDOW:
                chunks.append([])
                filled = 0
            chunks[-1].append(unit)
            filled += unit.length
    if len(chunks) > 1 and not chunks[-1]:
        chunks.pop()
    return chunks


def _cut_after_comma(chunk: list[Unit], comma: int) -> list[Unit]:
    """Take out what follows the last comma, if that is among the last tokens."""
    tail = 0
    for place in range(len(chunk) - 1, -1, -1):
        if tail >= BACKTRACK:
            break
        if chunk[place].token == comma:
            cut = chunk[place + 1 :]
            del chunk[place + 1 :]
            return cut
        tail += chunk[place].length
    return []


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks as tensors of shape (chunks, tokens), on the CPU."""

    ids: Tensor
    weights: Tensor
    vectors: list[tuple[int, int, Tensor]]
    """Chunk, place in it, and the vectors that stand there instead of their tokens."""


def batch(chunks: Sequence[Sequence[Unit]], vocabulary: Vocabulary) -> Batch:
    ids: list[list[int]] = []
    weights: list[list[float]] = []
    vectors: list[tuple[int, int, Tensor]] = []
    for row, chunk in enumerate(chunks):
        tokens, strengths = [vocabulary.start], [1.0]
        for unit in chunk:
            if unit.vectors is not None:
                vectors.append((row, len(tokens), unit.vectors))
            tokens += [unit.token] * unit.length
            strengths += [unit.weight] * unit.length
        tokens.append(vocabulary.end)
        missing = CHUNK - len(tokens)
        ids.append(tokens + [vocabulary.pad] * missing)
        weights.append(strengths + [1.0] * (missing + 1))
    return Batch(torch.tensor(ids), torch.tensor(weights), vectors)
