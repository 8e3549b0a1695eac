"""Prompts that were encoded lately: many share their negative one, and encoding takes its time on a CPU."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A prompt as the UNet takes it."""

    context: Tensor
    """(tokens, width); 77 tokens for every chunk."""
    pooled: Tensor | None
    """(width of the projection,), of the second text encoder's first chunk; SDXL and its refiner only."""

    @property
    def bytes(self) -> int:
        return self.context.nbytes + (0 if self.pooled is None else self.pooled.nbytes)


class EncodedCache:
    """Keeps the most recently used up to `limit` bytes, on the device they were made for."""

    def __init__(self, limit: int = 64 * 2**20) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, Encoded] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        return self._bytes

    def get(self, key: Hashable) -> Encoded | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: Hashable, encoded: Encoded) -> None:
        if (old := self._entries.pop(key, None)) is not None:
            self._bytes -= old.bytes
        self._entries[key] = encoded
        self._bytes += encoded.bytes
        while self._bytes > self._limit:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.bytes

    def clear(self) -> None:
        self._entries.clear()
        self._bytes = 0
