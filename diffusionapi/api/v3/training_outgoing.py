"""What a client's server is told of a training: each new status, at the URL that came with the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.api.v3 import training_statuses as statuses
from diffusionapi.webhooks.message import Message

if TYPE_CHECKING:
    from diffusionapi.core.job import Progress, Ticket


def messages(ticket: Ticket, progress: Progress) -> list[Message]:
    """All that is due so far. They are numbered by status, so that one that came again is told once."""
    url = ticket.payload["webhook"]
    if not url:
        return []
    return [_message(url, status, ticket, progress) for status in statuses.passed(progress)]


def _message(url: str, status: str, ticket: Ticket, progress: Progress) -> Message:
    body = {
        "status": statuses.outcome(status),
        "training_status": status,
        "logs": statuses.log_of(ticket, progress),
        "model_id": ticket.payload["training_id"],
        "training_id": ticket.payload["training_id"],
    }
    return Message(statuses.ORDER.index(status) + 1, status, url, body=body)
