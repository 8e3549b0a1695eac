"""Reads the table of tensors of a PyTorch pickle without running it: every name in it stands for nothing."""

from __future__ import annotations

import pickle
import zipfile
from typing import TYPE_CHECKING, Any

from diffusionapi.errors import BrokenModel

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path
    from typing import IO

_TYPES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}

Shaped = tuple[str, tuple[int, ...]]


def tensors(path: Path) -> dict[str, Shaped]:
    """Name -> type and shape, of what lies in the file itself or under its `state_dict`."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next((one for one in archive.namelist() if one.endswith("data.pkl")), None)
            if name is None:
                raise BrokenModel(path, "it is not a PyTorch checkpoint")
            with archive.open(name) as content:
                table = _Inert(content).load()
    except zipfile.BadZipFile as error:
        raise BrokenModel(path, _old_or_broken(path)) from error
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError) as error:
        raise BrokenModel(path, "its table of tensors is damaged; fetch it again") from error
    inner = table.get("state_dict", table) if isinstance(table, dict) else {}
    return (
        {name: one for name, one in inner.items() if isinstance(one, _Tensor)}
        if isinstance(inner, dict)
        else {}
    )


def _old_or_broken(path: Path) -> str:
    with path.open("rb") as file:
        old = file.read(2) == b"\x80\x02"
    if old:
        return "it is in PyTorch's format from before 2020; convert it to .safetensors"
    return "it is cut short or no PyTorch checkpoint; fetch it again"


class _Tensor(tuple[str, tuple[int, ...]]):
    """Type and shape, told apart from the other tuples that a pickle may hold."""

    __slots__ = ()


class _Nothing:
    """Stands for every class and function: may be called, filled and indexed, and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> _Nothing:
        return self

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None: ...

    def extend(self, _: Any) -> None: ...


class _Inert(pickle.Unpickler):
    def __init__(self, content: IO[bytes] | BufferedReader) -> None:
        super().__init__(content)

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _shape_of
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _first
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        return _Nothing

    def persistent_load(self, pid: Any) -> Any:
        """A storage, ("storage", type, key, device, length): its type is all that matters here."""
        return pid[1]


def _shape_of(dtype: Any, _offset: int, shape: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor((dtype if isinstance(dtype, str) else "F32", tuple(shape)))


def _first(one: Any, *_: Any) -> Any:
    return one
