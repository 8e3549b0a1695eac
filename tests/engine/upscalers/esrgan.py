"""Tiny ESRGAN files in the three layouts of names that are about, with weights that are known or random."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

FILTERS, GROWTH = 4, 32
"""The second is the same in all files."""
Layout = Literal["old", "bsrgan", "real"]

_NAMES: dict[Layout, dict[str, str]] = {
    "old": {"first": "model.0", "block": "model.1.sub.0.RDB{}.conv{}.0", "body": "model.1.sub.1"},
    "bsrgan": {"first": "conv_first", "block": "RRDB_trunk.0.RDB{}.conv{}", "body": "trunk_conv"},
    "real": {"first": "conv_first", "block": "body.0.rdb{}.conv{}", "body": "conv_body"},
}
_TAIL: dict[Layout, tuple[str, str, str]] = {
    "old": ("", "", ""),
    "bsrgan": ("upconv{}", "HRconv", "conv_last"),
    "real": ("conv_up{}", "conv_hr", "conv_last"),
}


def random_weights(scale: int, layout: Layout, *, channels: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(scale)
    weights: dict[str, Tensor] = {}
    for name, before, after in _convolutions(scale, layout, channels):
        weights[f"{name}.weight"] = torch.randn(after, before, 3, 3, generator=generator) / math.sqrt(
            before * 9
        )
        weights[f"{name}.bias"] = torch.zeros(after)
    return weights


def nearest_weights(scale: int, layout: Layout) -> dict[str, Tensor]:
    """The network that repeats every pixel: all convolutions pass on what they get, the blocks nothing."""
    weights: dict[str, Tensor] = {}
    silent = (_NAMES[layout]["block"].split("{")[0], _NAMES[layout]["body"])
    for name, before, after in _convolutions(scale, layout, 3):
        kernel = torch.zeros(after, before, 3, 3)
        if not name.startswith(silent):
            kernel[:, :, 1, 1] = torch.eye(after, before)
        weights |= {f"{name}.weight": kernel, f"{name}.bias": torch.zeros(after)}
    return weights


def _convolutions(scale: int, layout: Layout, channels: int) -> Iterator[tuple[str, int, int]]:
    """Name, channels before and after."""
    names, doublings = _NAMES[layout], int(math.log2(scale))
    yield names["first"], channels, FILTERS
    for dense in (1, 2, 3):
        for conv in range(1, 6):
            yield (
                names["block"].format(dense, conv),
                FILTERS + (conv - 1) * GROWTH,
                FILTERS if conv == 5 else GROWTH,
            )
    yield names["body"], FILTERS, FILTERS
    up, high, last = _TAIL[layout]
    for doubling in range(1, doublings + 1):
        yield up.format(doubling) if up else f"model.{3 * doubling}", FILTERS, FILTERS
    yield high or f"model.{3 * doublings + 2}", FILTERS, FILTERS
    yield last or f"model.{3 * doublings + 4}", FILTERS, 3
