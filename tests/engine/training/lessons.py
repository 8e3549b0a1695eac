"""Models even smaller than the miniatures, which learn in seconds; trainings, run to the end or stopped."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load

from diffusionapi.core.events import Phase, Step
from diffusionapi.engine import denoiser
from diffusionapi.engine.denoiser import Call
from diffusionapi.engine.engine import Taught
from diffusionapi.engine.recipe import Pause
from diffusionapi.engine.training.course import learn
from diffusionapi.engine.training.dice import dice
from diffusionapi.engine.training.layers import Learnt
from diffusionapi.engine.training.loss import Example, loss, rolled
from tests import factories, miniatures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.core.work import TrainingRequest
    from diffusionapi.engine.recipe import Moment
    from diffusionapi.engine.workshop import Workshop

_TWO_LEVELS = {
    "block_out_channels": [32, 32],
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "layers_per_block": 1,
}
UNETS: dict[str, dict[str, Any]] = {
    "sd1": _TWO_LEVELS,
    "sd2-base": _TWO_LEVELS | {"attention_head_dim": [1, 1]},
    "sd2-v": _TWO_LEVELS | {"attention_head_dim": [1, 1]},
    "sdxl": _TWO_LEVELS
    | {
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "attention_head_dim": [1, 1],
        "transformer_layers_per_block": [1, 2],
    },
}

RANK = 8

REQUEST = factories.a_training(
    name="learnt", model="sd1", pictures=(), steps=4, rate=1e-2, rank=RANK, alpha=float(RANK), seed=3
)


def make(published: str, folder: Path) -> Path:
    return miniatures.make(published, folder, seed=8, unet=UNETS[published])


def a_training(**fields: Any) -> TrainingRequest:
    return replace(REQUEST, **fields)


@dataclass
class Run:
    """What a training has told."""

    moments: list[Moment] = field(default_factory=list)

    @property
    def taught(self) -> Taught:
        last = self.moments[-1]
        assert isinstance(last, Taught), last
        return last

    @property
    def lora(self) -> dict[str, Tensor]:
        return load(self.taught.content)

    @property
    def steps(self) -> list[Step]:
        return [one for one in self.moments if isinstance(one, Step)]

    @property
    def phases(self) -> list[str]:
        return [one.name for one in self.moments if isinstance(one, Phase)]


def train(workshop: Workshop, request: TrainingRequest, *, stop_at: int | None = None) -> Run:
    """To its end, or until so many steps were told, as by an engine that has nothing else to do."""
    run, answer = Run(), None
    with closing(learn(request, workshop)) as training:
        while True:
            try:
                moment = training.send(answer)
            except StopIteration:
                return run
            answer = None
            if isinstance(moment, Call):
                answer = answered(workshop, moment)
            elif not isinstance(moment, Pause):
                run.moments.append(moment)
                if isinstance(moment, Step) and moment.loss is not None and moment.step == stop_at:
                    return run


def loss_on(
    workshop: Workshop,
    lora: Mapping[str, Tensor],
    examples: list[Example],
    prompt: str,
    model: str = REQUEST.model,
) -> float:
    """Of the model with a LoRA of its UNet, or none, at noise and timesteps that are always the same."""
    with workshop.taught(model) as weights, torch.no_grad(), ExitStack() as on_it:
        if lora:
            learnt = Learnt(weights.model, rank=RANK, alpha=RANK, words=False, dice=dice(0, 0))
            learnt.put({name: one.float() for name, one in lora.items()})
            on_it.enter_context(learnt.acting())
        random = torch.Generator().manual_seed(99)
        rows = [rolled(one, 1 / 32, 1000, random) for one in (examples * 32)[:32]]
        words = workshop.prompt_encoder(weights.model).encode(prompt)
        return float(loss(weights.model, rows, [words] * len(rows)))


def answered(workshop: Workshop, call: Call) -> Tensor:
    workshop.activate(call.weights)
    with torch.inference_mode():
        return denoiser.answer([call])[0]
