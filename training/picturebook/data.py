"""Endless training material: pictures drawn while needed, each shown a few times under new captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from training.picturebook.attributes import labels
from training.picturebook.latents import BLOCK, Whitening, to_latents
from training.picturebook.world.captions import caption
from training.picturebook.world.paint import paint
from training.picturebook.world.plan import training_plan

if TYPE_CHECKING:
    from random import Random

    from transformers import CLIPTokenizer

    from training.picturebook.world.plan import Plan

SHOWN = 6
"""Times a drawn picture is used: drawing all of them anew would cost as much as learning from them."""
WITHOUT_CAPTION = 0.1


def picture(plan: Plan, width: int, height: int) -> torch.Tensor:
    """3 x H x W, -1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(paint(plan, width, height))).permute(2, 0, 1) / 127.5 - 1


def whitening(rng: Random, pictures: int = 600) -> Whitening:
    return Whitening.of(torch.stack([picture(training_plan(rng), 128, 128) for _ in range(pictures)]))


@dataclass(slots=True)
class Batch:
    latents: torch.Tensor
    tokens: torch.Tensor
    labels: torch.Tensor
    captioned: torch.Tensor
    """Where there is a caption: only there do the labels mean something."""


class Pool:
    """The pictures of one shape. Every batch draws some anew, each in the place of an older one."""

    def __init__(self, width: int, height: int, white: Whitening, rng: Random, capacity: int) -> None:
        self._shape = (width * BLOCK, height * BLOCK)
        self._white = white
        self._rng = rng
        self._capacity = capacity
        self._plans: list[Plan] = []
        self._latents = torch.empty(capacity, 4, height, width, dtype=torch.float16)

    def some(self, count: int) -> tuple[list[Plan], torch.Tensor]:
        fresh = count if len(self._plans) < self._capacity // 2 else max(1, round(count / SHOWN))
        places = [self._draw() for _ in range(fresh)]
        places += self._rng.choices(range(len(self._plans)), k=count - fresh)
        return [self._plans[place] for place in places], self._latents[places].float()

    def _draw(self) -> int:
        plan = training_plan(self._rng)
        place = len(self._plans)
        if place < self._capacity:
            self._plans.append(plan)
        else:
            place = self._rng.randrange(self._capacity)
            self._plans[place] = plan
        self._latents[place] = to_latents(picture(plan, *self._shape)[None], self._white)[0]
        return place


def tokens(tokenizer: CLIPTokenizer, texts: list[str], length: int) -> torch.Tensor:
    ids: torch.Tensor = tokenizer(
        texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids
    return ids


def batch(pool: Pool, tokenizer: CLIPTokenizer, count: int, length: int, rng: Random) -> Batch:
    plans, latents = pool.some(count)
    captioned = [rng.random() >= WITHOUT_CAPTION for _ in plans]
    texts = [caption(plan, rng) if said else "" for plan, said in zip(plans, captioned, strict=True)]
    return Batch(
        latents,
        tokens(tokenizer, texts, length),
        torch.tensor([labels(plan) for plan in plans]),
        torch.tensor(captioned),
    )
