"""Dead letters: jobs that ended in an error because engines or workers died under them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from diffusionapi.core.events import Failed, Failure
from diffusionapi.core.job import Progress, Ticket
from diffusionapi.core.lane import lane_of
from diffusionapi.errors import EngineDied, EngineOutOfMemory, UnknownJob
from diffusionapi.jobs import codec
from diffusionapi.jobs.redis import scripts
from diffusionapi.jobs.redis.names import grave, job, key, write_lane

if TYPE_CHECKING:
    from diffusionapi.jobs.redis.connect import Connection

INTERRUPTED = "interrupted"
"""The code of a job whose workers vanished too often."""
_CODES = frozenset({EngineDied.code, EngineOutOfMemory.code, INTERRUPTED})


@dataclass(frozen=True, slots=True)
class DeadLetter:
    ticket: Ticket
    failure: Failure
    died_at: float
    """Epoch s."""


_LETTER = TypeAdapter(DeadLetter)


def letter_of(ticket: Ticket, progress: Progress) -> bytes:
    """What is kept of a job that died; empty when it ended in another way."""
    event = progress.recent[-1].event
    if not isinstance(event, Failed) or event.failure.code not in _CODES:
        return b""
    return _LETTER.dump_json(DeadLetter(ticket, event.failure, progress.ended_at or 0.0))


def letters(connection: Connection) -> list[DeadLetter]:
    """The first that died comes first."""
    ids = connection.call("ZRANGE", key("dead"), 0, -1)
    found = connection.call("HMGET", key("letters"), *ids) if ids else []
    return [_LETTER.validate_json(one) for one in found if one is not None]


def replay(connection: Connection, job_id: str) -> None:
    """Put a job that died at the end of the line, by its own id, so that its client finds it again."""
    content = connection.call("HGET", key("letters"), job_id)
    if content is None:
        raise UnknownJob(job_id)
    ticket = _LETTER.validate_json(content).ticket
    before = connection.call("HGET", job(job_id), "progress") or connection.call("GET", grave(job_id))
    known = codec.read_progress(before) if before else None
    # Watchers go by the numbers of events, which therefore go on.
    progress = replace(Progress(), number=known.number if known else 0)
    done = connection.run(
        scripts.REPLAY,
        job_id,
        write_lane(lane_of(ticket)),
        repr(ticket.created_at),
        codec.write_ticket(ticket),
        codec.write_progress(progress),
    )
    if not done:
        raise UnknownJob(job_id)


def drop(connection: Connection, job_id: str) -> None:
    gone, _ = connection.calls([("HDEL", key("letters"), job_id), ("ZREM", key("dead"), job_id)])
    if not gone:
        raise UnknownJob(job_id)
