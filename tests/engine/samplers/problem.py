"""A denoising problem with a known answer, and what published samplers make of it (data/README.md)."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from diffusionapi.engine.samplers.schedules import NoiseTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from diffusionapi.engine.samplers.sampler import Ask, Steps

DATA = Path(__file__).parent / "data"


@cache
def load(name: str) -> Mapping[str, Any]:
    with np.load(DATA / name) as file:
        return {key: file[key] for key in file.files}


def reference() -> Mapping[str, Any]:
    return load("reference.npz")


def tensor(name: str) -> Tensor:
    return torch.from_numpy(reference()[name].copy())


@cache
def alphas_cumprod() -> Tensor:
    return tensor("alphas_cumprod")


@cache
def table() -> NoiseTable:
    return NoiseTable(alphas_cumprod())


def facts() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(str(reference()["meta"]))
    return found


def denoised(x: Tensor, sigma: float) -> Tensor:
    """The mean of what x0 can have been, given x = x0 + sigma * noise."""
    mean, variance = tensor("gmm_mu"), tensor("gmm_s").square()
    flat, total = x.double().reshape(-1, 1, 256), variance + sigma**2
    away = flat - mean
    scores = tensor("gmm_w").log() - (away.square() / total + total.log()).sum(-1) / 2
    guesses = mean + variance / total * away
    return (torch.softmax(scores, 1)[..., None] * guesses).sum(1).reshape(x.shape).to(x.dtype)


def eps_model(x: Tensor, t: float) -> Tensor:
    """The same as a network that sees variance-preserving latents and predicts the noise."""
    sigma = sigma_of(t)
    exploding = x * math.hypot(1, sigma)
    return (exploding - denoised(exploding, sigma)) / sigma


def sigma_of(t: float) -> float:
    """Not the project's own: that is what is being tested."""
    alphas = reference()["alphas_cumprod"]
    known = 0.5 * np.log((1 - alphas) / alphas)
    return float(np.exp(np.interp(t, np.arange(len(known)), known)))


class RecordedNoise:
    """The draws and the Brownian path of the reference, both as an object and as a function."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.draws = 0
        self._dtype = dtype

    def next(self) -> Tensor:
        self.draws += 1
        return tensor("noise")[(self.draws - 1) % 160].to(self._dtype)

    def brownian(self, sigma: float, sigma_next: float) -> Tensor:
        change = self._path(sigma_next) - self._path(sigma)
        return (change / math.sqrt(abs(sigma_next - sigma))).to(self._dtype)

    def _path(self, sigma: float) -> Tensor:
        grid, path = reference()["brown_grid"], reference()["brown_W"].astype(np.float64)
        high = min(max(int(np.searchsorted(grid, sigma)), 1), len(grid) - 1)
        share = (sigma - grid[high - 1]) / (grid[high] - grid[high - 1])
        return torch.from_numpy((1 - share) * path[high - 1] + share * path[high]).reshape(1, 4, 8, 8)

    def __call__(self, *levels: float) -> Tensor:
        return self.brownian(*levels) if levels else self.next()


class Counted:
    """`eps_model`, and how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor, t: float) -> Tensor:
        assert 0 <= t <= 999
        self.calls += 1
        return eps_model(x, t)


def finish(sampler: Steps, answer: Callable[[Ask], Tensor] | None = None) -> tuple[Tensor, list[Ask]]:
    """Answer all that a sampler asks, truly if nothing else is said; its latents and its questions."""
    asked: list[Ask] = []
    try:
        ask = next(sampler)
        while True:
            asked.append(ask)
            ask = sampler.send(answer(ask) if answer else denoised(ask.x, ask.sigma))
    except StopIteration as end:
        return end.value, asked


def distance(found: Tensor, expected: Tensor) -> float:
    """Relative, in the Euclidean norm."""
    return float((found.double() - expected.double()).norm() / expected.double().norm())
