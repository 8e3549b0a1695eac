"""How far the network is from what it is to answer: the loss that the models were trained with.

A picture's latents and noise are mixed as at a timestep drawn at random; the network is to find the noise in
them (Ho et al. 2020, arXiv:2006.11239, algorithm 1), or what else its model predicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffusionapi.engine.devices import sent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.engine.prompts.cache import Encoded


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A picture to learn from."""

    latents: Tensor
    """(4, height, width), float32, on the CPU."""
    prompt: str
    sizes: tuple[float, ...] = ()
    """SDXL's numbers on size and crop."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """An example as the network sees it at one step."""

    example: Example
    noise: Tensor
    timestep: int
    weight: float
    """How much it counts."""


def rolled(example: Example, weight: float, steps: int, dice: torch.Generator) -> Row:
    """With noise and one of so many timesteps."""
    noise = torch.randn(example.latents.shape, generator=dice)
    return Row(example, noise, int(torch.randint(steps, (), generator=dice)), weight)


def loss(model: LoadedModel, rows: Sequence[Row], words: Sequence[Encoded]) -> Tensor:
    """The weighted sum over rows of the mean squared error, by one call; latents are of one shape."""
    clean, noise = (
        torch.stack(each).to(model.device)
        for each in ([row.example.latents for row in rows], [row.noise for row in rows])
    )
    timesteps = torch.tensor([row.timestep for row in rows])
    left = model.alphas_cumprod[timesteps].to(model.device, torch.float32).view(-1, 1, 1, 1)
    signal, spread = left.sqrt(), (1 - left).sqrt()
    answer: Tensor = model.unet(
        (signal * clean + spread * noise).to(model.dtype),
        timesteps.to(model.device),
        encoder_hidden_states=torch.stack([one.context for one in words]),
        added_cond_kwargs=_sizes(rows, words, model),
        return_dict=False,
    )[0]
    # v is the noise turned towards the picture (Salimans and Ho 2022, arXiv:2202.00512).
    target = signal * noise - spread * clean if model.prediction == "v_prediction" else noise
    errors = (answer.float() - target).square().mean((1, 2, 3))
    return (errors * errors.new_tensor([row.weight for row in rows])).sum()


def _sizes(rows: Sequence[Row], words: Sequence[Encoded], model: LoadedModel) -> dict[str, Tensor] | None:
    pooled = [one.pooled for one in words if one.pooled is not None]
    if not pooled or not rows[0].example.sizes:
        return None
    sizes = torch.tensor([row.example.sizes for row in rows], dtype=model.dtype)
    return {"text_embeds": torch.stack(pooled), "time_ids": sent(sizes, model.device)}
