"""Pictures whose opposite edges fit together: what a network sees beyond an edge is the other edge.

A panorama is a strip that closes to a ring, "both" a tile for a floor. Nothing is changed on a network for
it: convolutions are told otherwise while they are called within `around`, in this thread alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from diffusionapi.core.request import Tiling

_HEIGHT, _WIDTH = -2, -1
AXES: dict[Tiling, tuple[int, ...]] = {"none": (), "horizontal": (_WIDTH,), "both": (_HEIGHT, _WIDTH)}
"""Along which of a tensor's axes the edges fit together."""
_OVERLAP = 128
"""Pixels over which the edges fade into each other where a picture goes through a network in pieces."""


def around(tiling: Tiling) -> AbstractContextManager[object]:
    """Within it convolutions go on beyond one edge at the other."""
    return _Around(AXES[tiling]) if tiling != "none" else nullcontext()


class _Around(TorchFunctionMode):
    """In place of the zeros around what is convolved, by LoRAs too, and of those a VAE's encoder appends."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self._axes = axes

    def __torch_function__(
        self, function: Any, _types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is functional.conv2d:
            return self._convolved(*args, **(kwargs or {}))
        if function is functional.pad and _appends_zeros(*args, **(kwargs or {})):
            return self._appended(args[0])
        return function(*args, **(kwargs or {}))

    def _convolved(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        left = list(padding) if isinstance(padding, list | tuple) else [padding, padding]
        for axis in self._axes:
            x, left[axis] = padded(x, axis, left[axis]), 0
        return functional.conv2d(x, weight, bias, stride, left, dilation, groups)

    def _appended(self, x: Tensor) -> Tensor:
        """One row and one column, as an encoder has them before it halves a picture."""
        for axis in (_HEIGHT, _WIDTH):
            more = x.narrow(axis, 0, 1)
            x = torch.cat([x, more if axis in self._axes else torch.zeros_like(more)], axis)
        return x


def _appends_zeros(_: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> bool:
    return tuple(pad) == (0, 1, 0, 1) and mode == "constant" and not value


def padded(x: Tensor, axis: int, count: int) -> Tensor:
    """`x` with so many of the other edge's values before its first and after its last along an axis."""
    if not count:
        return x
    size = x.shape[axis]
    return torch.cat([x.narrow(axis, size - count, count), x, x.narrow(axis, 0, count)], axis)


def blur_padded(x: Tensor, count: int, tiling: Tiling) -> Tensor:
    """Padded on all sides: with what lies beyond the edges that fit together, and mirrored at the others."""
    for axis in (_HEIGHT, _WIDTH):
        if axis in AXES[tiling]:
            x = padded(x, axis, count)
        else:
            x = functional.pad(x, (count, count, 0, 0) if axis == _WIDTH else (0, 0, count, count), "reflect")
    return x


# --- in pieces ----------------------------------------------------------------------------------------------


def overlapped(work: Callable[[Tensor], Tensor], x: Tensor, tiling: Tiling, factor: float) -> Tensor:
    """What `work`, which sees pieces and so no other edge, makes of `x`; `factor` is how much larger that is.

    It is given more than the whole: behind one edge the beginning once more, which then fades into the first.
    """
    counts = {axis: min(int(_OVERLAP / max(factor, 1)), x.shape[axis]) for axis in AXES[tiling]}
    for axis, count in counts.items():
        x = torch.cat([x, x.narrow(axis, 0, count)], axis)
    made = work(x)
    for axis, count in counts.items():
        made = _faded(made, axis, int(count * factor))
    return made


def _faded(x: Tensor, axis: int, count: int) -> Tensor:
    size = x.shape[axis] - count
    share = torch.linspace(0, 1, count, device=x.device, dtype=x.dtype)
    share = share if axis == _WIDTH else share[:, None]
    head = torch.lerp(x.narrow(axis, size, count), x.narrow(axis, 0, count), share)
    return torch.cat([head, x.narrow(axis, count, size - count)], axis)
