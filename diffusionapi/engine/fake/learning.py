"""A training of the fake engine: true steps, a loss that falls, and in the end a LoRA that fits its model."""

from __future__ import annotations

import json
import math
import random
import time
from statistics import fmean
from typing import TYPE_CHECKING, Any

from diffusionapi import files
from diffusionapi.core.events import Phase, Step
from diffusionapi.engine.engine import Taught
from diffusionapi.engine.fake.mischief import mischief
from diffusionapi.engine.fake.uploaded import uploaded
from diffusionapi.weights import trained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.core.work import TrainingRequest
    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.engine.fake.props import Props
    from diffusionapi.weights.families import Family, Prediction

_LISTENING: dict[Family, tuple[str, int]] = {
    "sd1": ("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_{}", 768),
    "sd2": ("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_{}", 1024),
    "sdxl": ("lora_unet_middle_block_1_transformer_blocks_0_attn2_to_{}", 2048),
}
"""Layers of a UNet that hear the words, and how much they are told of each; they answer with 1280 numbers."""
_HEARD = 1280
_SPEAKING: dict[Family, dict[str, int]] = {
    "sd1": {"te": 768},
    "sd2": {"te": 1024},
    "sdxl": {"te1": 768, "te2": 1280},
}
"""Text encoders, and the width of their layers."""
_TEXT_LAYER = "lora_{}_text_model_encoder_layers_0_self_attn_q_proj"
_SMALL = 1e-4


class _Notebook:
    """When a training began and how many steps it has made, in its folder."""

    def __init__(self, request: TrainingRequest, props: Props) -> None:
        folder = props.trainings / request.name
        files.make_folder(folder)
        self._page = folder / "steps.json"
        kept = files.read(self._page)
        said: dict[str, Any] = json.loads(kept) if kept else {"steps": 0, "begun_at": time.time()}
        self.steps: int = said["steps"]
        self.begun_at: float = said["begun_at"]

    def keep(self, steps: int) -> None:
        said = {"steps": steps, "begun_at": self.begun_at}
        files.write(self._page, json.dumps(said).encode(), durable=False)


def learn(request: TrainingRequest, props: Props) -> Iterator[EngineEvent]:
    yield Phase("loading")
    kind = props.kind_of(request.model)
    for name in request.pictures:
        uploaded(name, props.uploads, "RGB")
    notebook = _Notebook(request, props)
    painted = request.class_pictures if request.class_prompt is not None and request.prior_weight > 0 else 0
    if painted and not notebook.steps:
        yield Phase("preparing")
        for number in range(1, painted + 1):
            yield Step(number, painted, number / (painted + request.steps))
    yield Phase("training")
    for step in range(notebook.steps + 1, request.steps + 1):
        yield from mischief(request.instance_prompt, step)
        notebook.keep(step)
        fraction = (painted + step) / (painted + request.steps)
        yield Step(step, request.steps, fraction, _loss(request, step))
    yield Phase("saving")
    last = range(request.steps, request.steps - max(1, request.steps // 10), -1)
    loss = fmean(_loss(request, step) for step in last)
    yield Taught(_lora(request, *kind, notebook.begun_at), request.steps, loss)


def _loss(request: TrainingRequest, step: int) -> float:
    dice = random.Random(request.seed + step)  # noqa: S311 - a number to look at, not a secret
    return (0.05 + 0.2 * math.exp(-3 * step / request.steps)) * dice.uniform(0.9, 1.1)


def _lora(request: TrainingRequest, family: Family, prediction: Prediction, begun_at: float) -> bytes:
    """Two layers of the UNet, and one of each text encoder that was to learn, in kohya's spelling."""
    import numpy as np  # with safetensors, it takes longer than all else of a start
    from safetensors.numpy import save

    dice, tensors = np.random.default_rng(request.seed), {}
    for name, heard, answered in _layers(request, family):
        for part, shape in (("down", (request.rank, heard)), ("up", (answered, request.rank))):
            tensors[f"{name}.lora_{part}.weight"] = (_SMALL * dice.standard_normal(shape)).astype(np.float16)
        tensors[f"{name}.alpha"] = np.array(request.alpha, dtype=np.float16)
    said = trained.metadata(
        name=request.name,
        model=request.model,
        family=family,
        prediction=prediction,
        instance_prompt=request.instance_prompt,
        steps=request.steps,
        rank=request.rank,
        alpha=request.alpha,
        created_at=begun_at,
    )
    return save(tensors, said)


def _layers(request: TrainingRequest, family: Family) -> Iterator[tuple[str, int, int]]:
    place, width = _LISTENING[family]
    for part in ("k", "v"):
        yield place.format(part), width, _HEARD
    if request.text_encoder_rate > 0 and request.text_encoder_steps > 0:
        for encoder, width in _SPEAKING[family].items():
            yield _TEXT_LAYER.format(encoder), width, width
