"""What an engine is: a running set of generations that is stepped.

`admit` puts a generation in, `step` moves all of them on and says what happened, `cancel` takes one out.
With one generation admitted it is simply a loop. The engine knows nothing of queues, files or clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from diffusionapi.core.events import Cancelled, Failed, Phase, Preview, Step

if TYPE_CHECKING:
    from diffusionapi.core.events import Sampled
    from diffusionapi.core.request import GenerationRequest


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished picture as the bytes of its file. Memory is the resident size of the engine's process."""

    content: bytes
    width: int
    height: int
    memory_before_mb: float
    memory_after_mb: float
    sampled: Sampled
    kind: Literal["rendered"] = "rendered"


EngineEvent = Phase | Step | Preview | Rendered | Failed | Cancelled

Happening = tuple[str, EngineEvent]
"""The id a generation was admitted under, and what happened to it."""


class Engine(Protocol):
    """`capacity` generations may be admitted at a time.

    A generation ends with Rendered, Failed or Cancelled, and its id is free again.
    """

    @property
    def capacity(self) -> int: ...

    def admit(self, job_id: str, request: GenerationRequest) -> None:
        """Put a generation into the running set."""

    def cancel(self, job_id: str) -> None:
        """Take a generation out; the next `step` says Cancelled. Ids that have ended are ignored."""

    def preview(self, job_id: str, on: bool) -> None:
        """Make previews of a generation from now on, or no more; at first nobody wants any.

        They come when they are ready, never more than one a step nor ten a second, and cost next to nothing.
        Of a picture that a safety checker has to see first there are none. Ids that have ended are ignored.
        """

    def step(self, timeout: float) -> list[Happening]:
        """Move on and say what happened; wait at most `timeout` seconds when nothing does."""

    def close(self) -> None:
        """Stop at once and let go of everything."""
