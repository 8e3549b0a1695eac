"""What an engine is: a running set of work that is stepped.

`admit` puts a piece of work in, `step` moves all of them on and says what happened, `cancel` takes one out.
With one picture admitted it is simply a loop. The engine knows nothing of queues, jobs' files or clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from diffusionapi.core.events import Cancelled, Failed, Phase, Preview, Step

if TYPE_CHECKING:
    from diffusionapi.core.events import Sampled
    from diffusionapi.core.work import Work


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished picture as the bytes of its file. Memory is the resident size of the engine's process."""

    content: bytes
    width: int
    height: int
    memory_before_mb: float
    memory_after_mb: float
    sampled: Sampled | None
    """None of a picture that was only made larger."""
    kind: Literal["rendered"] = "rendered"


@dataclass(frozen=True, slots=True)
class Taught:
    """A trained LoRA as the bytes of its file."""

    content: bytes
    steps: int
    """That were made, by this attempt and those before it."""
    loss: float
    """The mean of the last tenth of them."""
    kind: Literal["taught"] = "taught"


EngineEvent = Phase | Step | Preview | Rendered | Taught | Failed | Cancelled

ENDS = (Rendered, Taught, Failed, Cancelled)
"""What is told last of a piece of work."""

Happening = tuple[str, EngineEvent]
"""The id a piece of work was admitted under, and what happened to it."""


class Engine(Protocol):
    """`capacity` pieces of work may be admitted at a time.

    One ends with Rendered, Taught, Failed or Cancelled, and its id is free again. A training moves on only
    while no picture is in the running set.
    """

    @property
    def capacity(self) -> int: ...

    def admit(self, job_id: str, work: Work) -> None:
        """Put a piece of work into the running set."""

    def cancel(self, job_id: str) -> None:
        """Take one out; the next `step` says Cancelled. Ids that have ended are ignored."""

    def preview(self, job_id: str, on: bool) -> None:
        """Make previews of a picture from now on, or no more; at first nobody wants any.

        They come when they are ready, never more than one a step nor ten a second, and cost next to nothing.
        Of a picture that a safety checker has to see first there are none. Ids that have ended are ignored.
        """

    def step(self, timeout: float) -> list[Happening]:
        """Move on and say what happened; wait at most `timeout` seconds when nothing does."""

    def close(self) -> None:
        """Stop at once and let go of everything."""
