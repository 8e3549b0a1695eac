"""Makes an absent or half-working torchvision harmless to the libraries that ask for it.

torchvision is in one of three states, and each wants something else:

* absent: spandrel imports it at its top for two of its architectures, neither of which upscales. A stand-in
  serves while spandrel is imported, and is gone afterwards, so that transformers never finds it;
* there, and its native library loads: nothing is missing and nothing may be added, since an operator that is
  defined twice aborts the process;
* there, but its native library does not load, as a CUDA build beside a CPU build of torch: importing it fails
  with "operator torchvision::nms does not exist", and diffusers and transformers fail with it. With the
  schemas of the two operators that it describes without looking, it imports.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from diffusionapi.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_FAKED = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
_NOT_THERE = ("InterpolationMode", "rotate", "normalize")
"""What spandrel's LaMa and RestoreFormer import; only called when these run."""


@cache
def mend() -> None:
    """Call it before the first import of diffusers or transformers."""
    if "torchvision" in sys.modules or (spec := find_spec("torchvision")) is None:
        return
    folders = [Path(one) for one in spec.submodule_search_locations or ()]
    libraries = [file for folder in folders for file in folder.glob("_C.*")]
    if not any(_loads(library) for library in libraries):
        _define()


def _loads(library: Path) -> bool:
    """Loading it registers the operators, once for the process: torchvision's own attempt finds it loaded."""
    import torch  # noqa: F401 - the library is linked against what this loads

    try:
        ctypes.CDLL(str(library))
    except OSError:
        return False
    return True


@cache
def _define() -> Any:
    """The operators live as long as the library, which the cache holds."""
    import torch

    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)
    return library


@cache
def import_spandrel() -> Any:
    mend()
    try:
        if find_spec("torchvision") is not None:
            return importlib.import_module("spandrel")
        with _stand_in():
            return importlib.import_module("spandrel")
    except ModuleNotFoundError as error:
        raise Misconfigured(
            f"upscalers from files need the package spandrel, and {error.name} is not installed; "
            "run `pip install --no-deps spandrel==0.4.2 einops`"
        ) from error


@contextmanager
def _stand_in() -> Iterator[None]:
    modules = {name: ModuleType(name) for name in _FAKED}
    for name in _NOT_THERE:
        setattr(modules[_FAKED[-1]], name, _refuse)
    sys.modules |= modules
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def _refuse(*_: Any, **__: Any) -> Any:
    raise Misconfigured("this kind of network needs torchvision, which is not installed")
