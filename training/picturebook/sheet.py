"""Sheets of pictures with their prompts under them: to see what a model has learnt."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROMPTS = (
    "a red circle on a white background",
    "a blue star on a yellow background",
    "a green heart on a pink background",
    "a yellow triangle and a purple square on a black background",
    "an orange cat on a blue background",
    "a red house in a meadow at sunset, mountains",
    "a brown boat at sea by day, clouds",
    "a gray castle in the snow at night, moon",
    "a white rocket in space, moon",
    "a green tree in the desert at sunrise, sun",
    "a pink flower in a meadow by day, rainbow",
    "a red mushroom in a forest by day, river",
)
"""What a run is looked at by while it goes on."""
_LINE = 12
_MARGIN = 4


def load(model: Path, device: str) -> Any:
    pipeline = StableDiffusionPipeline.from_pretrained(model).to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def pictures(
    pipeline: Any, prompts: Sequence[str], *, size: int, steps: int, guidance: float, seed: int
) -> list[Image.Image]:
    """One for each prompt, each from the same seed."""
    return [
        pipeline(
            prompt,
            width=size,
            height=size,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=torch.Generator().manual_seed(seed),
        ).images[0]
        for prompt in prompts
    ]


def sheet(shown: Sequence[Image.Image], captions: Sequence[str], columns: int = 4) -> Image.Image:
    width, height = max(one.width for one in shown), max(one.height for one in shown)
    lines = [wrap(one, max(8, width // 6))[:3] for one in captions]
    text = _LINE * max(map(len, lines))
    step_x, step_y = width + _MARGIN, height + text + _MARGIN
    rows = -(-len(shown) // columns)
    whole = Image.new("RGB", (columns * step_x, rows * step_y), "white")
    draw = ImageDraw.Draw(whole)
    for number, (picture, said) in enumerate(zip(shown, lines, strict=True)):
        x, y = number % columns * step_x, number // columns * step_y
        whole.paste(picture, (x, y))
        draw.text((x + 2, y + height), "\n".join(said), fill="black", font_size=_LINE - 2)
    return whole
