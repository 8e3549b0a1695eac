"""A request that is several jobs, looked at together: what any dialect that has such wants to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.api.numbers import progress_of
from diffusionapi.core.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.jobs.store import JobStore

CANCELLED = "The request was cancelled"


@dataclass(frozen=True, slots=True)
class Series:
    """A request by the ticket of its first job, and how far each is; None for one that is gone."""

    ticket: Ticket
    jobs: list[Progress | None]

    @property
    def known(self) -> list[Progress]:
        return [one for one in self.jobs if one is not None]

    @property
    def over(self) -> bool:
        return all(one.state.ended for one in self.known)

    @property
    def done(self) -> list[tuple[int, Progress]]:
        """The finished ones with their places."""
        return [
            (place, one)
            for place, one in enumerate(self.jobs)
            if one is not None and one.state is JobState.DONE
        ]

    @property
    def started_at(self) -> float | None:
        """When the first of them was (epoch s)."""
        return min((one.started_at for one in self.known if one.started_at is not None), default=None)

    @property
    def ended_at(self) -> float | None:
        """When the last of those was that have ended (epoch s)."""
        return max((one.ended_at for one in self.known if one.ended_at is not None), default=None)

    @property
    def problem(self) -> str | None:
        """Why something of it is missing."""
        return "; ".join(dict.fromkeys(_problems(self.known))) or None


def _problems(jobs: list[Progress]) -> Iterator[str]:
    for one in jobs:
        if one.failure is not None:
            yield one.failure.sentence
        elif one.state is JobState.CANCELLED:
            yield CANCELLED


def look(store: JobStore, ticket: Ticket) -> Series:
    """The ids of its jobs are in its ticket's payload. Looks at files."""
    return Series(ticket, [progress_of(store, one) for one in ticket.payload["jobs"]])
