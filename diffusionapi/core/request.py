"""The one request that every dialect is translated to: resolved, complete, without defaults.

Names in it are the catalog's own names; whatever a client may leave open has been decided before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FileType = Literal["jpg", "png"]


@dataclass(frozen=True, slots=True)
class Lora:
    """How strongly a LoRA acts on the UNet and on the text encoders."""

    name: str
    scale: float
    text_encoder_scale: float


@dataclass(frozen=True, slots=True)
class Hires:
    """A second pass at a larger size."""

    scale: float
    upscaler: str
    steps: int
    denoising_strength: float


@dataclass(frozen=True, slots=True)
class Refiner:
    """Another model takes over when `switch_at` of the noise levels are done (0..1)."""

    model: str
    switch_at: float


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    prompt: str
    negative_prompt: str
    model: str
    width: int
    height: int
    steps: int
    guidance: float
    sampler: str
    schedule: str
    seed: int
    file_type: FileType
    quality: int
    clip_skip: int | None
    loras: tuple[Lora, ...]
    hires: Hires | None
    refiner: Refiner | None

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of the picture that comes out, in pixels."""
        if self.hires is None:
            return self.width, self.height
        return _on_grid(self.width * self.hires.scale), _on_grid(self.height * self.hires.scale)


def _on_grid(pixels: float) -> int:
    """The latent grid has cells of 8 pixels, and what does not fill one is cut off."""
    return int(pixels) // 8 * 8
