"""The lane a job waits in: jobs of one lane need the same weights and are equally urgent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diffusionapi.core.request import GenerationRequest
from diffusionapi.core.work import TrainingRequest, UpscaleRequest

if TYPE_CHECKING:
    from diffusionapi.core.job import Ticket


@dataclass(frozen=True, slots=True)
class Lane:
    kind: Literal["generation", "upscaling", "training"]
    model: str
    """Of an upscaling its upscaler."""
    priority: int = 0
    """The higher goes first."""


def lane_of(ticket: Ticket) -> Lane:
    match work := ticket.request:
        case GenerationRequest():
            return Lane("generation", work.model, ticket.priority)
        case UpscaleRequest():
            return Lane("upscaling", work.upscaler, ticket.priority)
        case TrainingRequest():
            return Lane("training", work.model, ticket.priority)
