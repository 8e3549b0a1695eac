"""Trains the SDXL of the picture book."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from training.picturebook import data, export, recipe
from training.picturebook.siblings import book, xl
from training.picturebook.siblings.course import Course, learn, unfinished
from training.picturebook.world.captions import caption
from training.picturebook.world.plan import training_plan

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

CROPPED = 0.4
LARGER = 1.5
INDEX = export.INDEX | {
    "_class_name": "StableDiffusionXLPipeline",
    "force_zeros_for_empty_prompt": False,
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
}
for _name in ("requires_safety_checker", "safety_checker"):
    del INDEX[_name]


def train(model: Path, out: Path, *, steps: int, seed: int, device: str) -> list[float]:
    of = book.Book(model, device)
    torch.manual_seed(seed)
    words = xl.Words([xl.first_encoder(of), xl.second_encoder(of)]).to(of.device)
    network = xl.unet(len(words.encoders), xl.SIZES).to(of.device, memory_format=torch.channels_last)
    xl.begin(network, words, of, Random(seed))
    both = nn.ModuleDict({"unet": network, "words": words})
    both.requires_grad_(True)

    def loss(rng: Random) -> Tensor:
        pictures, texts, sizes = material(rng)
        lesson = of.lesson(pictures)
        return lesson.loss(xl.told(network, lesson, words(of.ids(texts)), sizes))

    losses = learn(out.name, both, loss, Course(steps, 1e-3, 5e-5, seed, 0.998), unfinished(out))
    with export.replaced(out) as part:
        export.copied(model, part, ("tokenizer", "vae", "scheduler", recipe.WHITENING))
        save(part, INDEX, network, dict(zip(("text_encoder", "text_encoder_2"), words.encoders, strict=True)))
        export.copied_as(model / "tokenizer", part / "tokenizer_2")
        (part / "README.md").write_text(_CARD)
    return losses


def save(part: Path, index: dict[str, Any], network: Any, encoders: dict[str, Any]) -> None:
    network.half().save_pretrained(part / "unet")
    for name, encoder in encoders.items():
        export.save_text_encoder(encoder, part / name)
    export.save_index(part, index)


def material(rng: Random) -> tuple[Tensor, list[str], Tensor]:
    """Pictures, what is said of them, and their sizes: some are crops of larger drawings."""
    width, height, count = rng.choice(book.SHAPES)
    pictures, texts, sizes = [], [], []
    for _ in range(count):
        plan = training_plan(rng)
        grown = rng.uniform(1, LARGER) if rng.random() < CROPPED else 1.0
        wide, high = round(width * grown), round(height * grown)
        top, left = rng.randint(0, high - height), rng.randint(0, wide - width)
        pictures.append(data.picture(plan, wide, high)[:, top : top + height, left : left + width])
        texts.append("" if rng.random() < data.WITHOUT_CAPTION else caption(plan, rng))
        sizes.append((high, wide, top, left, height, width))
    return torch.stack(pictures), texts, torch.tensor(sizes, dtype=torch.float32)


_CARD = """# picturebook-xl

The world of `picturebook` painted by a very small model of SDXL's kind, for `StableDiffusionXLPipeline`: two
text encoders, a pooled text, and the sizes of the picture. Made by `python -m training.picturebook sibling
xl` from `picturebook`, whose card says what it paints and what it cannot do. It is no better than that model;
it is there so that everything SDXL does can be tried in seconds. The licence is that of the project it comes
with.
"""
