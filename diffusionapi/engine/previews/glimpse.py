"""What a generation offers for a preview after each step; it costs nothing until somebody takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from diffusionapi.core.events import Step
    from diffusionapi.engine.img2img.canvas import Canvas
    from diffusionapi.engine.models.loaded import LoadedModel


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """The clean picture that the network predicts behind the noise, as latents (4, h, w)."""

    model: LoadedModel
    latents: Tensor
    told: Step
    second: bool
    """Of the second pass, whose steps are counted anew."""
    size: tuple[int, int]
    """Of what is painted, when it is finished."""
    canvas: Canvas | None
    """What it is set into then."""
