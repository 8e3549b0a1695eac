"""Models larger than the device: their weights live in main memory and visit it while they are used.

accelerate's hooks tell when a module is called, a VAE's `encode` and `decode` included. Its own offloading
(1.15) does not fit here: its chain of hooks knows one order of parts, where pictures that join and leave call
them in any; it copies weights back, which nothing has changed; and it empties the device's cache at each one.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import psutil
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from torch import nn

from diffusionapi.engine.models.weights import size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.engine.models.loaded import Resident
    from diffusionapi.settings import Settings

LARGEST_PIECE = 256 * 2**20
"""Bytes of weights that are on the device at a time when parts come piece by piece."""
_PINNED_SHARE = 0.25
"""Of the memory that is free: a model smaller than this is pinned, which makes copies to a GPU faster."""


def stage(settings: Settings, device: torch.device) -> Stage | None:
    """As OFFLOAD says; None: models live on the device."""
    if settings.offload == "none":
        return None
    return Stage(device, LARGEST_PIECE if settings.offload == "sequential" else None)


class Stage:
    """Lets one piece of one model onto the device at a time: it stays until another one is called.

    So a UNet stays for all the steps that follow each other, whoever joins and leaves, and is away only while
    a prompt is encoded or a picture decoded. Pieces are whole parts, or no larger than `largest` bytes.
    """

    def __init__(self, device: torch.device, largest: int | None = None) -> None:
        self.device = device
        self._largest = largest
        self._here: weakref.ref[Piece] | None = None

    @property
    def here(self) -> Piece | None:
        return self._here() if self._here else None

    def take(self, model: Resident) -> None:
        """From now on its weights, which are in main memory, are on the device only while called."""
        pin = self.device.type == "cuda" and model.bytes < psutil.virtual_memory().available * _PINNED_SHARE
        for part in model.modules:
            for module in pieces(part, self._largest):
                add_hook_to_module(module, Piece(module, self, pin=pin))
            for name, buffer in list(part.named_buffers()):  # a few numbers, which stay
                owner, _, own = name.rpartition(".")
                setattr(part.get_submodule(owner), own, buffer.to(self.device))
        model.device = self.device

    def bring(self, piece: Piece) -> None:
        present = self.here
        if present is piece:
            return
        if present is not None:
            present.leave()
        self._here = None
        try:
            piece.come(self.device)
        except BaseException:  # as when the device is full: half a piece is of no use there
            piece.leave()
            raise
        self._here = weakref.ref(piece)


class Piece(ModelHook):  # type: ignore[misc]
    """A module that is called as a whole; away from the device its weights are on torch's device "meta"."""

    def __init__(self, module: nn.Module, stage: Stage, *, pin: bool) -> None:
        self.module = module
        self._stage = stage
        self._waiting = {
            name: one.data.pin_memory() if pin else one.data for name, one in module.named_parameters()
        }
        self._absent = {name: _still(one.to("meta")) for name, one in self._waiting.items()}

    def init_hook(self, module: Any) -> Any:
        self.leave()
        return module

    def pre_forward(self, _module: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self._stage.bring(self)
        return args, kwargs

    def come(self, device: torch.device) -> None:
        ahead = device.type == "cuda"
        with torch.inference_mode(False):  # what is made in that mode can never be learnt on
            for name, one in self._waiting.items():
                self._put(name, _still(one.to(device, non_blocking=ahead)))

    def leave(self) -> None:
        """Nothing is copied: weights never change, since LoRAs add to answers."""
        for name, one in self._absent.items():
            self._put(name, one)

    def _put(self, name: str, parameter: nn.Parameter) -> None:
        owner, _, own = name.rpartition(".")
        setattr(self.module.get_submodule(owner), own, parameter)


def _still(tensor: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


def pieces(module: nn.Module, largest: int | None) -> Iterator[nn.Module]:
    """The largest modules within the bound that hold all weights; lists of modules are never called."""
    whole = largest is None or size_of(module) <= largest or bool(list(module.parameters(recurse=False)))
    if whole and not isinstance(module, nn.ModuleList):
        if size_of(module):
            yield module
        return
    for child in module.children():
        yield from pieces(child, largest)
