"""A model's pictures, by the stock pipeline of diffusers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def load(model: Path, device: str) -> Any:
    """With DPM++ 2M Karras; whatever else the model's scheduler says stays."""
    pipeline = StableDiffusionPipeline.from_pretrained(model, dtype=torch.float32, safety_checker=None)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(
        pipeline.scheduler.config, use_karras_sigmas=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def paintings(
    pipeline: Any, prompts: Sequence[str], *, size: int, steps: int, guidance: float, seed: int, batch: int
) -> Iterator[np.ndarray]:
    """uint8, size x size x 3. Each has noise of its own, which doesn't depend on `batch`."""
    for start in range(0, len(prompts), batch):
        some = list(prompts[start : start + batch])
        noise = [torch.Generator().manual_seed(seed + start + i) for i in range(len(some))]
        images = pipeline(
            some,
            width=size,
            height=size,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=noise,
        ).images
        yield from (np.asarray(image) for image in images)
