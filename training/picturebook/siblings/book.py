"""The finished model as its siblings know it, and what they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

from training.picturebook import data, noise, recipe, tokenizer
from training.picturebook.latents import Whitening, to_latents
from training.picturebook.world.captions import caption
from training.picturebook.world.plan import training_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from torch import Tensor

    from training.picturebook.world.plan import Plan


LENGTH = 77
SHAPES = ((256, 256, 8), (256, 256, 8), (320, 256, 6), (256, 320, 6), (512, 512, 2))
"""Width, height and how many pictures make a batch."""


class Book:
    """The networks come frozen and in single precision."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.device = folder, torch.device(device)
        self.tokenizer = tokenizer.load(folder / "tokenizer")
        self.text: Any = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
        self.unet: Any = UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32)
        for network in (self.text, self.unet):
            network.to(self.device).requires_grad_(False)
        self.unet.to(memory_format=torch.channels_last)
        self._white = Whitening.load(folder / recipe.WHITENING)
        self.alphas = noise.alphas().to(self.device)

    def ids(self, texts: list[str]) -> Tensor:
        return data.tokens(self.tokenizer, texts, LENGTH).to(self.device)

    def said(self, texts: list[str]) -> Tensor:
        states: Tensor = self.text(self.ids(texts)).last_hidden_state
        return states

    def latents(self, pictures: Tensor) -> Tensor:
        latents = to_latents(pictures.to(self.device), self._white)
        return latents.contiguous(memory_format=torch.channels_last)

    def lesson(self, pictures: Tensor, levels: int = noise.LEVELS) -> noise.Lesson:
        return noise.lesson(self.latents(pictures), self.alphas, levels)


@dataclass(slots=True)
class Material:
    plans: list[Plan]
    pictures: Tensor
    texts: list[str]


def material(
    rng: Random,
    look: Callable[[Plan, int, int], Tensor] = data.picture,
    plans: Callable[[Random], Plan] = training_plan,
    silent: float = data.WITHOUT_CAPTION,
) -> Material:
    """A batch of one shape, drawn for it; `silent` is the share without a caption."""
    width, height, count = rng.choice(SHAPES)
    drawn = [plans(rng) for _ in range(count)]
    pictures = torch.stack([look(plan, width, height) for plan in drawn])
    texts = ["" if rng.random() < silent else caption(plan, rng) for plan in drawn]
    return Material(drawn, pictures, texts)
