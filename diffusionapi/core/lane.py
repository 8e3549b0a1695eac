"""The lane a job waits in: jobs of one lane need the same weights and are equally urgent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diffusionapi.core.request import GenerationRequest
from diffusionapi.core.work import TrainingRequest, UpscaleRequest

if TYPE_CHECKING:
    from diffusionapi.core.work import Work


@dataclass(frozen=True, slots=True)
class Lane:
    kind: Literal["generation", "upscaling", "training"]
    model: str
    """Of an upscaling its upscaler."""
    priority: int = 0
    """The higher goes first."""


def lane_of(work: Work) -> Lane:
    match work:
        case GenerationRequest():
            return Lane("generation", work.model)
        case UpscaleRequest():
            return Lane("upscaling", work.upscaler)
        case TrainingRequest():
            return Lane("training", work.model)
