"""The tokenizer of the picture book: byte pairs in which every word of its world is one token."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from transformers import CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from training.picturebook.world.captions import words

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 77
START, END = "<|startoftext|>", "<|endoftext|>"
_END_OF_WORD = "</w>"


def make(folder: Path) -> None:
    """Writes the files of a CLIP tokenizer, as the published models lay them out."""
    folder.mkdir(parents=True, exist_ok=True)
    merges = _merges([*words(), ","])
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(letter + _END_OF_WORD for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {token: number for number, token in enumerate([*tokens, START, END])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LENGTH,
        "do_lower_case": True,
        **special,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")


def load(folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(str(folder))


def _merges(vocabulary: list[str]) -> list[tuple[str, str]]:
    """Joins the commonest pair of neighbours until every word is whole."""
    spelled = [[*word[:-1], word[-1] + _END_OF_WORD] for word in vocabulary]
    merges: list[tuple[str, str]] = []
    while pairs := Counter(pair for word in spelled for pair in pairwise(word)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spelled = [_joined(word, best) for word in spelled]
    return merges


def _joined(word: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for part in word:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return joined
