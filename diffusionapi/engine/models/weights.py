"""The tensors of weight files by name, mapped into memory: read when used, so that opening costs nothing."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from diffusionapi.errors import BrokenModel
from diffusionapi.weights.header import PICKLES, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn


_ALIGNMENT = 64
"""Values between the starts of tensors: at least a cache line."""


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


def placed(
    tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype, *, channels_last: bool = False
) -> dict[str, Tensor]:
    """The tensors on the device in the wanted type; on the CPU they stay mapped if they have it already.

    Converted on the CPU they share one block. As measured, SD 1.5's UNet runs 10 to 20 % faster on it than on
    weights strewn over the heap; and the block goes back to the system at once when the model is dropped.
    """
    if device.type != "cpu" or all(one.dtype == dtype for one in tensors.values()):
        return {name: _ordered(one.to(device).to(dtype), channels_last) for name, one in tensors.items()}
    block = torch.empty(sum(_aligned(one.numel()) for one in tensors.values()), dtype=dtype)
    found, start = {}, 0
    for name, one in tensors.items():
        found[name] = _shaped(block[start : start + one.numel()], one.shape, channels_last).copy_(one)
        start += _aligned(one.numel())
    return found


def _ordered(weight: Tensor, channels_last: bool) -> Tensor:
    if not channels_last or weight.dim() != 4:  # only those of convolutions have four
        return weight
    return weight.contiguous(memory_format=torch.channels_last)


def _shaped(values: Tensor, shape: torch.Size, channels_last: bool) -> Tensor:
    if not channels_last or len(shape) != 4:
        return values.view(shape)
    return values.view(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2)


def _aligned(values: int) -> int:
    return -(-values // _ALIGNMENT) * _ALIGNMENT


def _without_ones(shape: torch.Size) -> list[int]:
    return [one for one in shape if one != 1]


def size_of(module: nn.Module) -> int:
    return sum(one.numel() * one.element_size() for one in module.parameters())
