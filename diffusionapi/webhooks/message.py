"""What a dialect has to tell a client's server, and the seam by which it says what is due."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from diffusionapi.core.job import Progress, Ticket


@dataclass(frozen=True, slots=True)
class Part:
    """Of a form: either text (`value`) or a finished picture, by its name among the blobs."""

    name: str
    value: str | None = None
    picture: str | None = None
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One POST: of `body` as JSON or, when there are `parts`, of a form (multipart/form-data).

    `number` tells it from the job's others for good: one that was acknowledged is never sent again.
    `what` names it in the log. Without a `signing_key` it is sent unsigned.
    """

    number: int
    what: str
    url: str
    body: dict[str, Any] | None = None
    parts: tuple[Part, ...] = ()
    signing_key: bytes = b""


class Outgoing(Protocol):
    """A dialect's side of the webhooks. Called in threads of the courier's own."""

    def messages(self, ticket: Ticket, progress: Progress) -> list[Message]:
        """All that is due in this job's life so far, in the order it is to be told.

        It is asked at every step and after every restart, and each time for all of it; a job may have gone
        back to the queue since, and a short state may never have been seen.
        """

    def delivered(self, ticket: Ticket, message: Message) -> None:
        """The client's server has acknowledged it (2xx)."""
