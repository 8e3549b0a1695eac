"""Trains the model for inpainting: its UNet also sees what is to stay, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from training.picturebook import export, networks, recipe
from training.picturebook.latents import BLOCK
from training.picturebook.siblings import book
from training.picturebook.siblings.course import Course, learn, unfinished

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

CHANNELS = 9
"""The latents, the mask, and the latents of the picture with gray in the place of what is to change."""
_WHOLE = 0.15


def train(model: Path, out: Path, *, steps: int, seed: int, device: str) -> list[float]:
    of = book.Book(model, device)
    torch.manual_seed(seed)
    network = build(of.unet).to(of.device, memory_format=torch.channels_last)

    def loss(rng: Random) -> Tensor:
        shown = book.material(rng)
        lesson = of.lesson(shown.pictures)
        masks = torch.stack([mask(rng, *shown.pictures.shape[-1:-3:-1]) for _ in shown.plans])
        kept = of.latents(shown.pictures * (1 - masks))
        seen = torch.cat([lesson.noised, functional.interpolate(masks, kept.shape[-2:]).to(kept), kept], 1)
        return lesson.loss(network(seen, lesson.times, of.said(shown.texts)).sample)

    losses = learn(out.stem, network, loss, Course(steps, 8e-4, 8e-5, seed, 0.998), unfinished(out))
    with export.replaced(out) as part:
        export.copied(model, part, ("tokenizer", "text_encoder", "vae", "scheduler", recipe.WHITENING))
        network.half().save_pretrained(part / "unet")
        export.save_index(part, {**export.INDEX, "_class_name": "StableDiffusionInpaintPipeline"})
        (part / "README.md").write_text(_CARD)
    return losses


def build(unet: Any) -> Any:
    """The UNet of the model, which takes no notice yet of what it sees in addition."""
    network = networks.unet(CHANNELS)
    weights = unet.state_dict()
    first = weights["conv_in.weight"]
    weights["conv_in.weight"] = functional.pad(first, (0, 0, 0, 0, 0, CHANNELS - first.shape[1]))
    network.load_state_dict(weights)
    return network


def mask(rng: Random, width: int, height: int) -> Tensor:
    """1 x H x W, 1 where the picture is to change: boxes, ovals and strokes, sometimes all of it."""
    if rng.random() < _WHOLE:
        return torch.ones(1, height, width)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    found = torch.zeros(height, width, dtype=torch.bool)
    for _ in range(rng.choice((1, 1, 2, 3))):
        across, down = rng.uniform(0.15, 0.7) * width, rng.uniform(0.15, 0.7) * height
        left, top = rng.uniform(-0.1, 0.9) * width, rng.uniform(-0.1, 0.9) * height
        if rng.random() < 0.5:
            found |= (x >= left) & (x < left + across) & (y >= top) & (y < top + down)
        else:
            found |= ((x - left) / across).hypot((y - top) / down) < 0.7
    if rng.random() < 0.5:  # as masks of whole blocks are
        found = found[::BLOCK, ::BLOCK].repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
    return (~found if rng.random() < 0.2 else found).float()[None]


_CARD = """# picturebook-inpainting

The model `picturebook` with a UNet of nine channels, for `StableDiffusionInpaintPipeline`: it also sees what
is to stay of a picture, and where. Made by `python -m training.picturebook sibling inpainting` from
`picturebook`, whose card says what it paints and what it cannot do. The licence is that of the project it
comes with.
"""
