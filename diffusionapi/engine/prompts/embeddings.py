"""Textual inversions: learned vectors in files, which stand in a prompt under the name of their file."""

from __future__ import annotations

import pickle
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from diffusionapi.engine.prompts.chunks import WINDOW
from diffusionapi.errors import Misconfigured
from diffusionapi.weights.places import find_embeddings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

_SLOT = {
    "clip_l": "clip_l",
    "clip_g": "clip_g",
    "text_encoders_0": "clip_l",
    "text_encoders_1": "clip_g",
}
"""Names of a file's tensors -> the text encoder of SDXL they are for. Under any other name the one tensor of
a file is for the one text encoder of SD 1.x or 2.x: `""`."""

_UNREADABLE = (OSError, ValueError, RuntimeError, EOFError, KeyError, SafetensorError, pickle.UnpicklingError)


@dataclass(frozen=True, slots=True)
class Embedding:
    name: str
    vectors: Mapping[str, Tensor]
    """Slot -> vectors of shape (tokens, width)."""

    def fits(self, widths: Mapping[str, int]) -> bool:
        """Whether it was made for text encoders of these slots and widths."""
        vectors = [self.vectors.get(slot) for slot in widths]
        return all(
            one is not None and one.shape[1] == width
            for one, width in zip(vectors, widths.values(), strict=True)
        )


@dataclass(frozen=True, slots=True)
class EmbeddingFile:
    path: Path
    changed: int
    """When, in nanoseconds: what was encoded with an older file is not used again."""

    @property
    def name(self) -> str:
        return self.path.stem

    def read(self) -> Embedding:
        """Its vectors. Pickled files are read as weights only, so no code in them runs."""
        try:
            if self.path.suffix == ".safetensors":
                content: object = load_file(self.path)
            else:
                with torch.serialization.safe_globals([torch.nn.ParameterDict]):
                    content = torch.load(self.path, map_location="cpu", weights_only=True)
        except _UNREADABLE as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise self._bad(f"cannot be read ({reason})") from error
        vectors = {slot: one if one.ndim > 1 else one[None] for slot, one in _tensors(content).items()}
        if not vectors:
            raise self._bad("holds no textual inversion")
        lengths = {len(one) if one.ndim == 2 else 0 for one in vectors.values()}
        if len(lengths) > 1 or not 0 < max(lengths) <= WINDOW:
            raise self._bad(f"does not hold 1 to {WINDOW} vectors")
        return Embedding(self.name, vectors)

    def _bad(self, problem: str) -> Misconfigured:
        return Misconfigured(f"The embedding {self.path.name} {problem}; repair it or take it away")


class Embeddings:
    """The files of a folder and the folders in it; without a folder there are none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def mentioned(self, text: str) -> list[EmbeddingFile]:
        """The files whose names may stand in the text; which do, the tokens say."""
        folded = _fold(text)
        return [
            EmbeddingFile(one.path, one.path.stat().st_mtime_ns)
            for one in (find_embeddings(self._folder) if self._folder else ())
            if _fold(one.name) in folded
        ]


def _fold(text: str) -> str:
    """As much alike as tokens can make two texts: CLIP sees neither case nor white space."""
    return "".join(unicodedata.normalize("NFC", text).lower().split())


def _tensors(content: object) -> dict[str, Tensor]:
    """Slot -> tensor, in the layouts of A1111 (.pt), kohya and diffusers (.safetensors, .bin)."""
    if not isinstance(content, dict):
        return {}
    table = content.get("string_to_param", content)
    if isinstance(table, torch.nn.ParameterDict):
        table = dict(table.named_parameters())
    if not isinstance(table, dict):
        return {}
    tensors = {str(name): one.detach() for name, one in table.items() if isinstance(one, torch.Tensor)}
    named = {_SLOT[name]: one for name, one in tensors.items() if name in _SLOT}
    if named:
        return named
    if "emb_params" in tensors or len(tensors) == 1:
        return {"": tensors.get("emb_params", next(iter(tensors.values())))}
    return {}
