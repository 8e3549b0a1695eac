"""Whether a model really loads: every part is built and every weight read."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from diffusionapi.engine.models.load import load
from diffusionapi.errors import BrokenModel
from diffusionapi.weights.inspection import Found, inspect

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.models.loaded import LoadedModel


@dataclass(frozen=True, slots=True)
class Checked:
    found: Found
    hash: str
    load_seconds: float
    """To map the weights; converting them to another type on the way to a device comes on top."""
    read_seconds: float


def check(path: Path, *, pickles: bool = False) -> Checked:
    """BrokenModel, naming the file and the tensor, if anything is wrong with the model."""
    found = inspect(path, pickles=pickles)
    started = time.perf_counter()
    # In half precision nothing is copied when the file is in half precision too, as most are.
    model = load(path, torch.device("cpu"), torch.float16, allow_pickles=pickles)
    loaded = time.perf_counter()
    _refuse_if_not_finite(model)
    return Checked(found, model.hash, loaded - started, time.perf_counter() - loaded)


def _refuse_if_not_finite(model: LoadedModel) -> None:
    for module in model.modules:
        for name, weight in module.named_parameters():
            if not torch.isfinite(weight).all():
                raise BrokenModel(
                    model.path, f"the tensor {name} of {type(module).__name__} has values that are no number"
                )
