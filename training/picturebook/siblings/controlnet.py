"""Trains a ControlNet on edges: white lines on black say where things are, the prompt what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import ControlNetModel

from training.picturebook.export import replaced
from training.picturebook.siblings import book
from training.picturebook.siblings.course import Course, learn, unfinished
from training.picturebook.siblings.edges import edges

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from torch import Tensor

WIDTHS = (8, 16, 24, 32)
SILENT = 0.3
"""Share of the pictures that only their edges describe."""
THRESHOLDS = (0.06, 0.2)
LOUDER = 2.0
"""What it says is multiplied so at the end: having learnt so shortly it speaks low, and 1 is to be a good
scale."""


def build(unet: Any) -> Any:
    """The UNet's lower half. `from_unet` forgets how many heads read the text, and begins with two layers of
    zeros one behind the other, of which the first learns nothing for long."""
    from_unet = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=WIDTHS)
    config = {key: value for key, value in from_unet.config.items() if not key.startswith("_")}
    config["addition_embed_type_num_heads"] = unet.config.addition_embed_type_num_heads
    network = ControlNetModel.from_config(config)
    network.load_state_dict(from_unet.state_dict())
    network.controlnet_cond_embedding.conv_out.reset_parameters()
    return network


def train(model: Path, out: Path, *, steps: int, seed: int, device: str) -> list[float]:
    of = book.Book(model, device)
    torch.manual_seed(seed)
    network = build(of.unet).to(of.device, memory_format=torch.channels_last).requires_grad_(True)

    def loss(rng: Random) -> Tensor:
        shown = book.material(rng, silent=SILENT)
        lesson = of.lesson(shown.pictures)
        said = of.said(shown.texts)
        lines = edges(shown.pictures.to(of.device), rng.uniform(*THRESHOLDS))
        down, middle = network(lesson.noised, lesson.times, said, lines, return_dict=False)
        told = of.unet(
            lesson.noised,
            lesson.times,
            said,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        )
        return lesson.loss(told.sample)

    losses = learn(out.stem, network, loss, Course(steps, 1e-3, 1e-4, seed, 0.998), unfinished(out))
    with replaced(out) as part, torch.no_grad():
        for last in (*network.controlnet_down_blocks, network.controlnet_mid_block):
            last.weight *= LOUDER
            last.bias *= LOUDER
        network.half().save_pretrained(part)
    return losses
