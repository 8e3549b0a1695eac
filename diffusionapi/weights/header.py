"""Reads what a weights file holds, names, types and shapes of its tensors, without reading the tensors."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from diffusionapi.errors import BrokenModel
from diffusionapi.weights import pickles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PICKLES = (".ckpt", ".pt", ".pth", ".bin")

_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 100 * 2**20
"""The format's own limit."""

_BYTES_PER_VALUE = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2}
_BEGINNINGS = {
    b"version https://git-lfs": "it is a Git LFS pointer, not the file itself; run `git lfs pull`",
    b"<!DOCTYPE": "it is a web page; the download went wrong, fetch it again",
    b"<html": "it is a web page; the download went wrong, fetch it again",
    b"PK\x03\x04": "it is a pickle under the name of a safetensors file; rename it to .ckpt",
}


Stamp = tuple[int, int]
"""Size and time of change: a file with the same stamp has the same content."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor: its type as safetensors spells it, its shape, and where its bytes lie in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    end: int = 0

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.values * _BYTES_PER_VALUE.get(self.dtype, 1)


@dataclass(frozen=True, slots=True)
class Header:
    path: Path
    tensors: Mapping[str, Entry]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def shape(self, name: str) -> tuple[int, ...]:
        if name not in self.tensors:
            raise BrokenModel(self.path, f"the tensor {name} is missing")
        return self.tensors[name].shape

    def floats(self, name: str) -> list[float] | None:
        """The values of a small tensor of a safetensors file; None for types without a reader here."""
        entry = self.tensors[name]
        if entry.end <= entry.start:
            return None
        with self.path.open("rb") as file:
            file.seek(entry.start)
            return _decoded(entry.dtype, file.read(entry.end - entry.start))


def read_header(path: Path) -> Header:
    """BrokenModel for a file that is cut short or no weights file at all."""
    return _read(path, *stamp(path))


def stamp(path: Path) -> Stamp:
    try:
        state = path.stat()
    except OSError as error:
        raise BrokenModel(path, _why_unreadable(path, error)) from error
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=8)  # loading asks several times; a header is up to a megabyte of objects
def _read(path: Path, size: int, _mtime: int) -> Header:
    try:
        if path.suffix in PICKLES:
            return Header(path, {name: Entry(*one) for name, one in pickles.tensors(path).items()})
        return _read_safetensors(path, size)
    except OSError as error:
        raise BrokenModel(path, _why_unreadable(path, error)) from error


def _why_unreadable(path: Path, error: OSError) -> str:
    if path.is_symlink() and not path.exists():
        return "it links to a file that is not there; the download did not finish, pull it again"
    return (error.strerror or str(error)).lower()


def _read_safetensors(path: Path, size: int) -> Header:
    with path.open("rb") as file:
        beginning = file.read(32)
        _refuse_other_kinds(path, beginning)
        length = struct.unpack("<Q", beginning[:_LENGTH_BYTES])[0]
        if length > _MOST_HEADER_BYTES:
            raise BrokenModel(path, "it is not a safetensors file")
        file.seek(_LENGTH_BYTES)
        text = file.read(length)
    if len(text) < length:
        raise BrokenModel(path, f"it is cut short at {size} bytes; fetch it again")
    return _parsed(path, text, size)


def _refuse_other_kinds(path: Path, beginning: bytes) -> None:
    if len(beginning) < _LENGTH_BYTES:
        raise BrokenModel(path, f"it is cut short at {len(beginning)} bytes; fetch it again")
    for start, problem in _BEGINNINGS.items():
        if beginning.startswith(start):
            raise BrokenModel(path, problem)


def _parsed(path: Path, text: bytes, size: int) -> Header:
    first = _LENGTH_BYTES + len(text)
    try:
        table: dict[str, Any] = json.loads(text)
        metadata = table.pop("__metadata__", {})
        tensors = {
            name: Entry(
                one["dtype"],
                tuple(one["shape"]),
                first + one["data_offsets"][0],
                first + one["data_offsets"][1],
            )
            for name, one in table.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BrokenModel(path, "its header is damaged; fetch it again") from error
    needed = max((one.end for one in tensors.values()), default=first)
    if size < needed:
        raise BrokenModel(path, f"it is cut short at {size} of {needed} bytes; fetch it again")
    return Header(path, tensors, metadata)


def _decoded(dtype: str, content: bytes) -> list[float] | None:
    count = len(content) // _BYTES_PER_VALUE.get(dtype, 1)
    match dtype:
        case "F32":
            return list(struct.unpack(f"<{count}f", content))
        case "F16":
            return list(struct.unpack(f"<{count}e", content))
        case "BF16":  # the upper half of a float32
            halves = struct.unpack(f"<{count}H", content)
            return list(
                struct.unpack(f"<{count}f", struct.pack(f"<{count}I", *(one << 16 for one in halves)))
            )
        case _:
            return None
