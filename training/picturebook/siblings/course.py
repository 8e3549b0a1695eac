"""How every sibling learns: a falling rate, a running average, and a state to go on from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

SAVE_EVERY = 120.0
WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Course:
    steps: int
    rate: float
    rate_end: float
    seed: int
    average: float = 0.99
    decay: float = 0.01


def unfinished(out: Path) -> Path:
    """Where the state of what will become `out` is kept."""
    return out.with_name(f".{out.name}.unfinished")


def learn(
    name: str, network: nn.Module, loss: Callable[[Random], Tensor], course: Course, state: Path
) -> list[float]:
    """Trains what of `network` asks for gradients; it ends with the average of its weights. `loss` makes its
    batch from the dice it gets. The losses, one a step; the state at `state` is gone afterwards."""
    learner = _Learner(network, course)
    if state.exists():
        learner.restore(torch.load(state, map_location=next(network.parameters()).device, weights_only=True))
    rng = Random(course.seed * 10**9 + learner.step)
    torch.manual_seed(course.seed * 10**9 + learner.step)
    saved, losses = time.monotonic(), []
    bar = tqdm(total=course.steps, initial=learner.step, desc=name, unit="step")
    while learner.step < course.steps:
        losses.append(learner.learn(loss(rng)))
        bar.update()
        bar.set_postfix(loss=f"{sum(losses[-50:]) / len(losses[-50:]):.4f}", refresh=False)
        if time.monotonic() - saved > SAVE_EVERY:
            learner.save(state)
            saved = time.monotonic()
    bar.close()
    learner.finish()
    state.unlink(missing_ok=True)
    return losses


class _Learner:
    def __init__(self, network: nn.Module, course: Course) -> None:
        self.course, self.step = course, 0
        self.weights = {key: one for key, one in network.named_parameters() if one.requires_grad}
        self.average = {key: one.detach().clone() for key, one in self.weights.items()}
        self.optimiser = torch.optim.AdamW(
            self.weights.values(), lr=course.rate, betas=(0.9, 0.98), weight_decay=course.decay
        )

    def learn(self, loss: Tensor) -> float:
        course = self.course
        rate = course.rate * (course.rate_end / course.rate) ** (self.step / course.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * min(1.0, (self.step + 1) / WARM_UP)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.step += 1
        # At first a shorter memory, or the average would be of the untrained weights.
        keep = min(course.average, self.step / (self.step + 10))
        for key, weight in self.weights.items():
            self.average[key].lerp_(weight.detach(), 1 - keep)
        return loss.item()

    def finish(self) -> None:
        with torch.no_grad():
            for key, weight in self.weights.items():
                weight.copy_(self.average[key])

    def save(self, file: Path) -> None:
        state: dict[str, Any] = {
            "weights": {key: one.detach() for key, one in self.weights.items()},
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        torch.save(state, part)
        part.replace(file)

    def restore(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for key, weight in self.weights.items():
                weight.copy_(state["weights"][key])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
