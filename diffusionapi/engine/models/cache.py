"""Keeps models loaded, those used last, within a number of bytes on the device and one on the host."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import torch

from diffusionapi.engine.memory import give_back
from diffusionapi.engine.models.hashes import Stamp, stamp_of, weight_files
from diffusionapi.engine.models.loaded import Resident
from diffusionapi.weights.inspection import inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from diffusionapi.engine.models.loaded import LoadedModel

_CPU = torch.device("cpu")


R = TypeVar("R", bound=Resident)


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """A sort of thing beside models that is kept with them: how it is loaded, how many weights it has, and by
    which files it is known."""

    load: Callable[[Path], R]
    parameters: Callable[[Path], int]
    files: Callable[[Path], Sequence[Path]]


class ModelCache:
    """`load` puts a model onto `device`. One model is kept even if it alone is larger than the bound.

    A model that leaves the device goes to the host if `host_bytes` leave room for it, else it is forgotten.
    Its memory is free only when nobody else holds it: callers keep paths, not models.
    """

    def __init__(
        self,
        load: Callable[[Path], LoadedModel],
        *,
        device: torch.device,
        dtype: torch.dtype,
        device_bytes: int,
        host_bytes: int = 0,
    ) -> None:
        self._models = Kind(load, _parameters, weight_files)
        self._device = device
        self._value_bytes = dtype.itemsize
        self._device_bytes = device_bytes
        self._host_bytes = 0 if device == _CPU else host_bytes
        self._on_device: OrderedDict[Path, Resident] = OrderedDict()
        self._on_host: OrderedDict[Path, Resident] = OrderedDict()
        self._stamps: dict[Path, Stamp] = {}

    def get(self, path: Path, keep: Collection[Path] = ()) -> LoadedModel:
        """The model, loaded if need be (anew if its file was replaced); others make room, but not `keep`."""
        return self.fetch(self._models, path, keep)

    def fetch(self, kind: Kind[R], path: Path, keep: Collection[Path] = ()) -> R:
        """The same for something of another kind; whatever lies at a path is always of one kind."""
        stamp = stamp_of(kind.files(path))
        if self._stamps.get(path, stamp) != stamp:
            self.evict(path)
        if path in self._on_device:
            self._on_device.move_to_end(path)
            return cast("R", self._on_device[path])
        model = cast("R | None", self._on_host.pop(path, None))
        size = model.bytes if model else kind.parameters(path) * self._value_bytes
        self._make_room(size, keep)
        if model:
            model.to(self._device)
        else:
            model = kind.load(path)
        self._on_device[path] = model
        self._stamps[path] = stamp
        return model

    def evict(self, path: Path) -> None:
        """Forget a model and give its memory back to the system."""
        self._on_device.pop(path, None)
        self._on_host.pop(path, None)
        self._stamps.pop(path, None)
        give_back()

    def clear(self) -> None:
        for path in [*self._on_device, *self._on_host]:
            self.evict(path)

    @property
    def loaded(self) -> list[Path]:
        """What is on the device, that used last at the end."""
        return list(self._on_device)

    @property
    def device_bytes(self) -> int:
        return sum(one.bytes for one in self._on_device.values())

    @property
    def host_bytes(self) -> int:
        return sum(one.bytes for one in self._on_host.values())

    def _make_room(self, size: int, keep: Collection[Path]) -> None:
        leaving = [path for path in self._on_device if path not in keep]
        while leaving and self.device_bytes + size > self._device_bytes:
            self._leave_device(leaving.pop(0))

    def _leave_device(self, path: Path) -> None:
        model = self._on_device.pop(path)
        while self._on_host and self.host_bytes + model.bytes > self._host_bytes:
            self.evict(next(iter(self._on_host)))
        if model.bytes <= self._host_bytes:
            model.to(_CPU)
            self._on_host[path] = model
        else:
            del model
            self._stamps.pop(path)
        give_back()


def _parameters(path: Path) -> int:
    return inspect(path, pickles=True).parameters
