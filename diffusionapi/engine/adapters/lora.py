"""LoRAs on a loaded model (Hu et al. 2021, arXiv:2106.09685): put on, changed, taken away between two calls.

A LoRA's layer adds scale * alpha / rank * up(down(x)) to what a layer of the model answers. It is added to
the answer, never to the weights: these stay as they were loaded, bit for bit, also while LoRAs are active. To
activate another set or other scales takes a few milliseconds, and each LoRA's matrices are in memory once.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from diffusionapi.engine.adapters.lora_fit import fit, places
from diffusionapi.weights import lora_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from torch.utils.hooks import RemovableHandle

    from diffusionapi.engine.adapters.lora_fit import Module, Place
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.weights.lora_file import Layer

_KEEP_BYTES = 2**30
"""What LoRAs that are not active may take of the device's memory, in case they come back."""


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """A LoRA file as it is now, and how strongly it acts on the UNet and on the text encoders."""

    path: Path
    version: tuple[int, int]
    scale: float
    text_encoder_scale: float

    @classmethod
    def of(cls, path: Path, scale: float, text_encoder_scale: float | None = None) -> Use:
        return cls(
            path, lora_file.version(path), scale, scale if text_encoder_scale is None else text_encoder_scale
        )


Uses = tuple[Use, ...]


def in_order(uses: Iterable[Use]) -> Uses:
    """One form for each set: sets that are equal in it act alike, and pictures with them can share calls."""
    return tuple(sorted(use for use in uses if use.scale or use.text_encoder_scale))


class Loras:
    """The LoRAs on one model: at any time one set of them is active. Keeps in memory what it has read."""

    def __init__(self, model: LoadedModel, *, keep_bytes: int = _KEEP_BYTES) -> None:
        self.active: Uses = ()
        self._model = model
        self._places = places(model)
        self._keep_bytes = keep_bytes
        self._read: OrderedDict[_File, list[_Delta]] = OrderedDict()
        self._hooks: list[RemovableHandle] = []

    def activate(self, uses: Iterable[Use]) -> None:
        """Exactly this set from now on. If one of it cannot be used, the set before stays."""
        uses = in_order(uses)
        if uses == self.active:
            return
        acting: dict[Module, list[_Part]] = {}
        for use in uses:
            for delta in self._deltas(use):
                scale = use.text_encoder_scale if delta.place.of_text_encoder else use.scale
                if scale:
                    acting.setdefault(delta.place.module, []).append((delta, scale))
        for hook in self._hooks:
            hook.remove()
        self._hooks = [module.register_forward_hook(_Adding(parts)) for module, parts in acting.items()]
        self.active = uses
        self._forget_unused()

    def clear(self) -> None:
        """Take all away, and let go of their memory."""
        self.activate(())
        self._read.clear()

    @property
    def bytes(self) -> int:
        """The memory of all that are kept, active or not."""
        return sum(_bytes(deltas) for deltas in self._read.values())

    def _deltas(self, use: Use) -> list[_Delta]:
        file = use.path, use.version
        if file not in self._read:
            self._read[file] = _load(use.path, self._places, self._model)
        self._read.move_to_end(file)
        return self._read[file]

    def _forget_unused(self) -> None:
        """Of those that are not active, the ones longest unused, until the rest may stay."""
        active = {(use.path, use.version) for use in self.active}
        unused = [file for file in self._read if file not in active]
        spare = sum(_bytes(self._read[file]) for file in unused) - self._keep_bytes
        for file in unused:
            if spare > 0:
                spare -= _bytes(self._read.pop(file))


@contextmanager
def applied(model: LoadedModel, loras: Iterable[tuple[Path, float]]) -> Iterator[None]:
    """These LoRAs on the model inside the `with`, and none of them after it."""
    on_it = Loras(model)
    on_it.activate(Use.of(path, scale) for path, scale in loras)
    try:
        yield
    finally:
        on_it.clear()


@dataclass(slots=True, eq=False)
class _Delta:
    """The matrices of one layer, alpha / rank multiplied in, in the type of the weight they go with."""

    place: Place
    down: Tensor
    mid: Tensor | None
    up: Tensor

    def add(self, x: Tensor, answer: Tensor, scale: float) -> None:
        if self.up.device != x.device:
            self._move(x.device)
        module = self.place.module
        if isinstance(module, nn.Linear):
            inner = functional.linear(x, self.down).view(-1, len(self.down))
            answer.view(-1, len(self.up)).addmm_(inner, self.up.t(), alpha=scale)
            return
        if self.mid is None:
            inner = _convolve(x, self.down, module)
        else:
            inner = _convolve(functional.conv2d(x, self.down), self.mid, module)
        answer.add_(functional.conv2d(inner, self.up), alpha=scale)

    def _move(self, device: torch.device) -> None:
        """The module has been moved since, as when models wait in main memory."""
        self.down, self.up = self.down.to(device), self.up.to(device)
        self.mid = None if self.mid is None else self.mid.to(device)


def _convolve(x: Tensor, kernel: Tensor, like: nn.Conv2d) -> Tensor:
    return functional.conv2d(x, kernel, None, like.stride, like.padding, like.dilation)


_Part = tuple[_Delta, float]
_File = tuple["Path", tuple[int, int]]


class _Adding:
    """A forward hook: adds to the answer in place, since nobody else has seen it yet."""

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts

    def __call__(self, _module: nn.Module, arguments: tuple[Any, ...], answer: Tensor) -> None:
        for delta, scale in self._parts:
            delta.add(arguments[0], answer, scale)


def _load(path: Path, known: Mapping[str, Place], model: LoadedModel) -> list[_Delta]:
    file = lora_file.read(path)
    fitting = fit(file, known, model)
    with safe_open(path, "pt") as tensors:
        return [_delta(place, layer, tensors.get_tensor, model.device) for place, layer in fitting]


def _delta(place: Place, layer: Layer, tensor: Callable[[str], Tensor], device: torch.device) -> _Delta:
    dtype = place.module.weight.dtype
    down, up = tensor(layer.down), tensor(layer.up)
    factor = float(tensor(layer.alpha)) / len(down) if layer.alpha else layer.factor

    def placed(one: Tensor) -> Tensor:
        if isinstance(place.module, nn.Linear):
            one = one.flatten(1)
        elif one.dim() == 2:
            one = one[:, :, None, None]
        # A copy, since the tensors of the file are a view into it, and files may be written over.
        return one.to(device, dtype, copy=True)

    mid = placed(tensor(layer.mid)) if layer.mid else None
    return _Delta(place, placed(down), mid, placed(up.float() * factor))


def _bytes(deltas: list[_Delta]) -> int:
    tensors = (one for delta in deltas for one in (delta.down, delta.mid, delta.up))
    return sum(one.nbytes for one in tensors if one is not None)
