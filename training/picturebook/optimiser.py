"""Muon for the matrices of a network, AdamW for all else: fewer pictures are needed than with AdamW alone.

Both are torch's. Its Muon knows no convolutions, so it is shown them as matrices that share their memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

STRIDE = 3.0
"""Muon's learning rate in terms of AdamW's, once the sizes of their steps are made equal."""
LEAST, MOST = 16, 512
"""The fewest rows and columns that are orthogonalised, and the most rows: a vocabulary is a list, no map."""


class Optimiser:
    """Of groups of weights, each with its share of the learning rate."""

    def __init__(self, groups: Iterable[tuple[Iterable[torch.nn.Parameter], float]]) -> None:
        self._shown: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
        matrices: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for weights, share in groups:
            kept = list(weights)
            shown = [(weight, _as_matrix(weight.detach())) for weight in kept if _is_matrix(weight)]
            matrices.append({"params": [matrix for _, matrix in shown], "share": share * STRIDE})
            others.append({"params": [one for one in kept if not _is_matrix(one)], "share": share})
            self._shown += shown
        self._muon = torch.optim.Muon(matrices, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        self._adam = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.01, fused=True)

    def step(self, rate: float) -> None:
        for optimiser in (self._muon, self._adam):
            for group in optimiser.param_groups:
                group["lr"] = rate * group["share"]
        for weight, matrix in self._shown:
            matrix.grad = None if weight.grad is None else _as_matrix(weight.grad)
        self._muon.step()  # type: ignore[no-untyped-call]
        self._adam.step()
        for weight, _ in self._shown:
            weight.grad = None
        self._adam.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])


def _is_matrix(weight: torch.Tensor) -> bool:
    return weight.ndim > 1 and len(weight) <= MOST and min(len(weight), weight[0].numel()) >= LEAST


def _as_matrix(weight: torch.Tensor) -> torch.Tensor:
    """One row an output, without a copy; which order a row has does not matter."""
    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        return weight.permute(0, 2, 3, 1).flatten(1)
    return weight.flatten(1)
