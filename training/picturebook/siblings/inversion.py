"""Trains a textual inversion: vectors for a look there is no word for. All networks stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from training.picturebook.siblings import book, looks
from training.picturebook.siblings.course import Course, learn, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from training.picturebook.world.plan import Plan

VECTORS = 2


class _Vectors(nn.Module):
    """Stand in a text encoder in the place of its last tokens' rows."""

    def __init__(self, start: Tensor, first: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(start.clone())
        self._first = first

    def insert(self, _table: nn.Module, arguments: Any, rows: Tensor) -> Tensor:
        places = arguments[0] - self._first
        found: Tensor = torch.where((places >= 0)[..., None], self.vectors[places.clamp(min=0)], rows)
        return found


def train(
    model: Path,
    out: Path,
    *,
    steps: int,
    seed: int,
    device: str,
    look: Callable[[Plan, int, int], Tensor],
    near: str,
) -> list[float]:
    """The vectors begin as those of the word `near`."""
    of = book.Book(model, device)
    first = len(of.tokenizer)
    names = [f"<{number}>" for number in range(VECTORS)]
    of.tokenizer.add_tokens(names)
    of.text.resize_token_embeddings(first + VECTORS)
    of.text.requires_grad_(False)
    table = of.text.get_input_embeddings()
    start = table.weight[of.tokenizer(near).input_ids[1]].repeat(VECTORS, 1)
    vectors = _Vectors(start + 0.01 * torch.randn(start.shape, generator=_dice(seed)).to(start), first)
    table.register_forward_hook(vectors.insert)
    token = " ".join(names)

    def loss(rng: Random) -> Tensor:
        shown = book.material(rng, look, looks.plain_plan, silent=0)
        texts = [rng.choice((f"{text}, {token}", f"{token}, {text}")) for text in shown.texts]
        lesson = of.lesson(shown.pictures)
        return book.loss(lesson, of.unet(lesson.noised, lesson.times, of.said(texts)).sample)

    losses = learn(out.stem, vectors, loss, Course(steps, 2e-2, 2e-3, seed, decay=0), unfinished(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({out.stem: vectors.vectors.detach().float().cpu().contiguous()}, out)
    return losses


def _dice(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
