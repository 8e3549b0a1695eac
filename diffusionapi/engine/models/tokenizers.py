"""Tokenizers from a folder's own files, or CLIP's vocabulary that ships with this package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from transformers import CLIPTokenizer

from diffusionapi.errors import BrokenModel
from diffusionapi.weights.families import CONFIGS

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.weights.families import TextEncoder

_CLIP_PADS = "<|endoftext|>"
_OPEN_CLIP_PADS = "!"
"""OpenCLIP fills up with zeros, and 0 is the id of "!"."""

_TOKENS = 77


def shipped_tokenizer(encoder: TextEncoder) -> Any:
    return _tokenizer(CONFIGS / "clip", _OPEN_CLIP_PADS if encoder.open_clip else _CLIP_PADS)


def read_tokenizer(folder: Path, encoder: TextEncoder) -> Any:
    """A folder without a vocabulary gets the shipped one: all CLIP text encoders share it."""
    if not (folder / "vocab.json").is_file():
        return (
            CLIPTokenizer.from_pretrained(folder, local_files_only=True)
            if (folder / "tokenizer.json").is_file()
            else shipped_tokenizer(encoder)
        )
    return _tokenizer(folder, _pads(folder) or (_OPEN_CLIP_PADS if encoder.open_clip else _CLIP_PADS))


def _tokenizer(folder: Path, pads: str) -> Any:
    files = (folder / "vocab.json", folder / "merges.txt")
    try:
        return CLIPTokenizer(
            vocab=str(files[0]), merges=str(files[1]), pad_token=pads, model_max_length=_TOKENS
        )
    except Exception as error:  # tokenizers raises Exception itself
        raise BrokenModel(files[0], "it is no CLIP vocabulary") from error


def _pads(folder: Path) -> str | None:
    """Published SD 2 folders have the right one in special_tokens_map.json only."""
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        try:
            said = json.loads((folder / name).read_text()).get("pad_token")
        except (OSError, ValueError, AttributeError):
            continue
        if said:
            return str(said["content"] if isinstance(said, dict) else said)
    return None
