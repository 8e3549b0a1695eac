"""What a client's server is told: the result of a request, once, and how a training is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusionapi.api import series
from diffusionapi.api.v3 import telling, training_outgoing
from diffusionapi.core.work import TrainingRequest
from diffusionapi.webhooks.message import Message

if TYPE_CHECKING:
    from diffusionapi.api.series import Series
    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.jobs.store import JobStore

_NUMBER, _WHAT = 1, "result"


class V3Outgoing:
    def __init__(self, store: JobStore) -> None:
        self._store = store

    def messages(self, ticket: Ticket, progress: Progress) -> list[Message]:
        if isinstance(ticket.request, TrainingRequest):
            return training_outgoing.messages(ticket, progress)
        if not ticket.payload["webhook"] or not progress.state.ended:
            return []
        made = series.look(self._store, ticket)
        if not made.over or not _is_last(made, ticket.payload["place"]):
            return []
        return [Message(_NUMBER, _WHAT, ticket.payload["webhook"], body=_result(made))]

    def delivered(self, ticket: Ticket, message: Message) -> None:
        """Nothing is to be remembered of it."""


def _is_last(made: Series, place: int) -> bool:
    """Whether the job at this place ended behind the others: it tells of all."""
    ended = [(one.ended_at or 0.0, other) for other, one in enumerate(made.jobs) if one is not None]
    return max(ended, default=(0.0, place))[1] == place


def _result(made: Series) -> dict[str, Any]:
    """With URLs also where a request wants base64: that is for the answers."""
    payload = made.ticket.payload
    told = {"id": payload["number"], "track_id": payload["track_id"]}
    if not made.done:
        return {"status": "failed", "message": made.problem} | told
    links = telling.links(payload)
    found = {
        "status": "success",
        "output": [links[place] for place, _ in made.done],
        "generationTime": telling.seconds(made),
    }
    return found | told | ({} if payload["meta"] is None else {"meta": telling.meta_of(made)})
