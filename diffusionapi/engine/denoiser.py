"""Questions of many pictures answered by one call of one network.

A UNet takes a timestep a row, so pictures with different prompts, seeds, samplers, levels and guidance
share a call, as long as weights, latent shape and the length of their prompts agree.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffusionapi.engine.control.acting import Acting, Heard, Seen, added
from diffusionapi.engine.devices import sent
from diffusionapi.engine.self_attention import watched
from diffusionapi.engine.tiling import around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusionapi.core.request import Tiling
    from diffusionapi.engine.adapters.lora import Uses
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.prompts.cache import Encoded
    from diffusionapi.engine.samplers.levels import NoiseTable
    from diffusionapi.engine.self_attention import Attended


@dataclass(frozen=True, slots=True)
class Weights:
    """The network that is asked: a model, its noise levels, and the adapters that must be on it."""

    model: LoadedModel
    table: NoiseTable
    adapters: Uses = ()


@dataclass(frozen=True, slots=True)
class Words:
    """What a picture is to show at a step: prompts with their weights, and what it should not show.

    `sizes` are SDXL's numbers on size and crop (and the refiner's on looks), for each of the two sides.
    """

    positive: tuple[tuple[Encoded, float], ...]
    negative: Encoded
    positive_sizes: tuple[float, ...] = ()
    negative_sizes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One picture's question: what is the clean picture behind `x`, a latent x0 + sigma * noise?"""

    weights: Weights
    x: Tensor
    sigma: float
    words: Words
    guidance: float
    channels: Tensor | None = None
    """What the network takes beside the latents."""
    controls: tuple[Acting, ...] = ()
    """The ControlNets at work at this step."""
    tiling: Tiling = "none"
    attended: Attended | None = None
    """Takes what the network attends to, if somebody wants to know."""

    @property
    def lane(self) -> Hashable:
        """Calls of one lane can share a network call."""
        return (
            self.weights.model.name,
            self.weights.adapters,
            tuple(self.x.shape),
            tuple(self.words.negative.context.shape),
            tuple(one.lane for one in self.controls),
            self.tiling,
        )

    @property
    def guided(self) -> bool:
        """At guidance 1 the negative side cancels out, so it is not asked for."""
        return self.guidance != 1 or len(self.words.positive) != 1 or self.words.positive[0][1] != 1

    @property
    def rows(self) -> int:
        """Of the network call: the wanted sides, then the unwanted one."""
        return len(self.words.positive) + self.guided


@dataclass(frozen=True, slots=True)
class _Row:
    x: Tensor
    sigma: float
    encoded: Encoded
    sizes: tuple[float, ...]
    channels: Tensor | None
    heard: Heard


def answer(calls: Sequence[Call]) -> list[Tensor]:
    """The predicted clean latents, one for each call; all calls are of one lane."""
    weights = calls[0].weights
    rows = [row for call in calls for row in _rows(call)]
    ends = list(accumulate(call.rows for call in calls))
    wanted = [(call.attended, end - 1) for call, end in zip(calls, ends, strict=True) if call.attended]
    with around(calls[0].tiling), watched(weights.model.unet, [last for _, last in wanted]) as shares:
        predicted = _clean(weights, rows)
    for (attended, last), share in zip(wanted, shares, strict=True):
        attended.clean, attended.share = predicted[last], share
    return [_guide(call, predicted[end - call.rows : end]) for call, end in zip(calls, ends, strict=True)]


def _rows(call: Call) -> list[_Row]:
    words = call.words
    sides = [(encoded, words.positive_sizes, True) for encoded, _ in words.positive]
    if call.guided:
        sides.append((words.negative, words.negative_sizes, False))
    return [
        _Row(call.x, call.sigma, encoded, sizes, call.channels, Heard(call.controls, wanted))
        for encoded, sizes, wanted in sides
    ]


def _guide(call: Call, predicted: Tensor) -> Tensor:
    """Classifier-free guidance, for composed prompts the weighted sum of their directions."""
    if not call.guided:
        return predicted[0]
    negative = predicted[-1]
    guided = negative.clone()
    for side, (_, weight) in zip(predicted[:-1], call.words.positive, strict=True):
        guided += call.guidance * weight * (side - negative)
    return guided


def _clean(weights: Weights, rows: Sequence[_Row]) -> Tensor:
    """x0 of every row. The network sees x / sqrt(1 + sigma²), whose variance is preserved."""
    model = weights.model
    x = torch.stack([row.x for row in rows])
    levels = [[row.sigma for row in rows], [weights.table.t_of(row.sigma) for row in rows]]
    told = sent(torch.tensor(levels, dtype=torch.float32), x.device)
    sigma = told[0].view(-1, 1, 1, 1)
    scale = (1 + sigma.square()).rsqrt()
    channels = [row.channels for row in rows if row.channels is not None]
    context = torch.stack([row.encoded.context for row in rows])
    seen = Seen((x * scale).to(model.dtype), told[1], context, _sizes(rows, model.dtype))
    beside = [torch.stack(channels).to(model.dtype)] if channels else []
    output: Tensor = model.unet(
        torch.cat([seen.latents, *beside], dim=1),
        seen.timesteps,
        encoder_hidden_states=seen.context,
        added_cond_kwargs=seen.sizes,
        return_dict=False,
        **added([row.heard for row in rows], seen),
    )[0].float()
    if model.prediction == "v_prediction":
        # v = alpha * noise - sqrt(1 - alpha²) * x0 (Salimans and Ho 2022, arXiv:2202.00512)
        return x * scale.square() - output * sigma * scale
    return x - sigma * output


def _sizes(rows: Sequence[_Row], dtype: torch.dtype) -> dict[str, Tensor] | None:
    pooled = [row.encoded.pooled for row in rows]
    if pooled[0] is None or not rows[0].sizes:
        return None
    embeds = torch.stack([one for one in pooled if one is not None])
    sizes = torch.tensor([row.sizes for row in rows], dtype=dtype)
    return {"text_embeds": embeds, "time_ids": sent(sizes, embeds.device)}


def timestep(table: NoiseTable, sigma: float) -> int:
    """The whole timestep nearest to a level."""
    return math.floor(table.t_of(sigma) + 0.5)
