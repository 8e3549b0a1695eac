"""A request's pictures together: each is a job of its own, and a cycle of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusionapi.core.job import Progress

ENGINE = "diffusion"
PICTURES = "/uploads/ai/"
"""Where pictures are, by their public names."""


def cost(cycles: list[Progress | None]) -> float:
    """Seconds that the pictures which have ended took, together."""
    known = [one for one in cycles if one is not None]
    return sum(one.ended_at - one.started_at for one in known if one.started_at and one.ended_at)
