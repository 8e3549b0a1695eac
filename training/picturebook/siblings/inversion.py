"""Trains a textual inversion: a vector for a colour there is no word for. All networks stay as they are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from training.picturebook.siblings import book, looks
from training.picturebook.siblings.course import Course, learn, unfinished

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from training.picturebook.world.pen import RGB

STAND_IN = ("gray", "grey")
"""Pictures with this colour are drawn in the new one, and it gives its place in their captions."""
TOKEN = "<new>"  # noqa: S105


class _Vector(nn.Module):
    """Stands in a text encoder in the place of its last token's row."""

    def __init__(self, start: Tensor, token: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(start.clone())
        self._token = token

    def insert(self, _table: nn.Module, arguments: Any, rows: Tensor) -> Tensor:
        return torch.where((arguments[0] == self._token)[..., None], self.vector, rows)


def train(
    model: Path, out: Path, *, steps: int, seed: int, device: str, tone: RGB, near: tuple[str, ...]
) -> list[float]:
    """The vector begins as the mean of those of the words `near`."""
    of = book.Book(model, device)
    token = len(of.tokenizer)
    of.tokenizer.add_tokens([TOKEN])
    of.text.resize_token_embeddings(token + 1)
    of.text.requires_grad_(False)
    table = of.text.get_input_embeddings()
    start = torch.stack([table.weight[of.tokenizer(word).input_ids[1]] for word in near]).mean(0)
    vector = _Vector(start, token)
    table.register_forward_hook(vector.insert)
    look = partial(looks.recoloured, word=STAND_IN[0], tone=tone)
    plans = partial(looks.plan_with, word=STAND_IN[0])

    def loss(rng: Random) -> Tensor:
        shown = book.material(rng, look, plans, silent=0)
        lesson = of.lesson(shown.pictures)
        said = of.said([_renamed(text) for text in shown.texts])
        return lesson.loss(of.unet(lesson.noised, lesson.times, said).sample)

    losses = learn(out.stem, vector, loss, Course(steps, 8e-3, 8e-4, seed, decay=0), unfinished(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({out.stem: vector.vector.detach().float().cpu()[None].contiguous()}, out)
    return losses


def _renamed(text: str) -> str:
    for word in STAND_IN:
        text = text.replace(word, TOKEN)
    return text
