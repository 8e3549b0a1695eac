"""Tickets and progress as JSON, for stores that keep bytes."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from diffusionapi.core.job import Progress, Ticket
from diffusionapi.errors import DamagedJob
from diffusionapi.jobs.store import IdempotencyKey  # noqa: TC001 - pydantic reads annotations at run time


@dataclass(frozen=True, slots=True)
class _Keyed:
    """What is kept with a ticket: the key it was submitted under."""

    key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class _Placed:
    """What of a ticket says where in the line its job belongs."""

    key: IdempotencyKey | None = None
    priority: int = 0


_TICKET = TypeAdapter(Ticket)
_PROGRESS = TypeAdapter(Progress)
_KEYED = TypeAdapter(_Keyed)
_PLACED = TypeAdapter(_Placed)


def write_ticket(ticket: Ticket, key: IdempotencyKey | None = None) -> bytes:
    content = _TICKET.dump_json(ticket)
    if key is None:
        return content
    return content[:-1] + b"," + _KEYED.dump_json(_Keyed(key))[1:]


def read_place(content: bytes) -> tuple[IdempotencyKey | None, int]:
    """The key that a ticket was submitted under, and its priority."""
    try:
        found = _PLACED.validate_json(content)
    except ValidationError:
        found = _Placed()
    return found.key, found.priority


def read_ticket(job_id: str, content: bytes) -> Ticket:
    try:
        ticket = _TICKET.validate_json(content)
    except ValidationError as error:
        raise DamagedJob(job_id, _first_problem(error) if content else "the file is empty") from error
    if ticket.id != job_id:
        raise DamagedJob(job_id, f"it holds another job's id, {ticket.id}")
    return ticket


def write_progress(progress: Progress) -> bytes:
    return _PROGRESS.dump_json(progress)


def read_progress(content: bytes) -> Progress | None:
    """None when it is not a progress record, as after a power cut in the middle of one."""
    try:
        return _PROGRESS.validate_json(content)
    except ValidationError:
        return None


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
