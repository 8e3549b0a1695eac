"""The tensors of weight files by name, mapped into memory: read when used, so that opening costs nothing."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from diffusionapi.engine.models.header import PICKLES, read_header
from diffusionapi.errors import BrokenModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from torch import Tensor, nn


class Weights:
    """The tensors of one file or of several shards."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.path = paths[0]
        self._sources: dict[str, Any] = {}
        for path in paths:
            source = _pickle(path) if path.suffix in PICKLES else _mapped(path)
            self._sources |= dict.fromkeys(source.keys(), source)

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def __getitem__(self, name: str) -> Tensor:
        source = self._sources.get(name)
        if source is None:
            raise BrokenModel(self.path, f"the tensor {name} is missing")
        tensor: Tensor = source[name] if isinstance(source, dict) else source.get_tensor(name)
        return tensor

    def first(self, names: Iterable[str]) -> Tensor:
        """The tensor under the first of these names that is there."""
        names = list(names)
        return self[next((one for one in names if one in self), names[0])]


def _mapped(path: Path) -> Any:
    read_header(path)  # says in a sentence what is wrong with the file
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (OSError, SafetensorError) as error:
        raise BrokenModel(path, str(error)) from error


def _pickle(path: Path) -> dict[str, Tensor]:
    try:
        table = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        problem = "it holds more than weights, or it is damaged; convert it to safetensors"
        raise BrokenModel(path, problem) from error
    table = table.get("state_dict", table)
    return {name: one for name, one in table.items() if isinstance(one, torch.Tensor)}


def fitted(tensor: Tensor, shape: torch.Size, path: Path, name: str) -> Tensor:
    """`tensor` in `shape`: convolutions over one pixel and linear layers stand for each other."""
    if tensor.shape == shape:
        return tensor
    if tensor.numel() == shape.numel() and _without_ones(tensor.shape) == _without_ones(shape):
        return tensor.reshape(shape)
    raise BrokenModel(path, f"the tensor {name} is {tuple(tensor.shape)} where {tuple(shape)} is expected")


def _without_ones(shape: torch.Size) -> list[int]:
    return [one for one in shape if one != 1]


def size_of(module: nn.Module) -> int:
    return sum(one.numel() * one.element_size() for one in module.parameters())
