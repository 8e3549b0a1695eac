"""The job store in Redis: what clients and upkeep ask. What workers ask is done by claiming.py and holds.py,
what other processes say is taken in by hearing.py.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from diffusionapi.core.events import Cancelled, Phase, Step
from diffusionapi.core.job import Progress, Ticket
from diffusionapi.core.lane import lane_of
from diffusionapi.errors import (
    DamagedJob,
    HoldLost,
    JobEnded,
    JobExists,
    KeyReused,
    QueueFull,
    StorageUnavailable,
    UnknownJob,
)
from diffusionapi.jobs import codec
from diffusionapi.jobs.pulse import Pulse
from diffusionapi.jobs.redis import dead, scripts
from diffusionapi.jobs.redis.claiming import Claimer
from diffusionapi.jobs.redis.connect import Connection, doubts
from diffusionapi.jobs.redis.counting import read_census
from diffusionapi.jobs.redis.duty import RedisDuty
from diffusionapi.jobs.redis.hearing import Hearing
from diffusionapi.jobs.redis.holds import Hold, Keeper
from diffusionapi.jobs.redis.listener import Listener
from diffusionapi.jobs.redis.mirror import Mirror
from diffusionapi.jobs.redis.names import grave, job, key, write_lane
from diffusionapi.jobs.redis.previews import RedisPreviews
from diffusionapi.jobs.store import (
    KEY_SECONDS,
    TOMBSTONE_SECONDS,
    Claim,
    Entry,
    IdempotencyKey,
    JobStore,
    Listing,
)
from diffusionapi.logs import Complaints

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from diffusionapi.core.lane import Lane
    from diffusionapi.jobs.affinity import Preference
    from diffusionapi.jobs.census import Census
    from diffusionapi.jobs.redis.dead import DeadLetter

log = logging.getLogger(__name__)

_RETRY_AFTER = 5
"""Seconds a client is told to wait when the queue is full."""
_RUNNING_LISTED = 1000
_PAGE = 200
"""Tickets that are read at a time."""
_TRIES = 100
_STOP = 2.0
"""Seconds that threads are given to end."""


class RedisJobStore(JobStore):
    distant = True

    def __init__(self, url: str) -> None:
        """A Redis that is away is no reason to fail: everything says so until it is there."""
        process = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._connection = Connection(url)
        self._pulse = Pulse()
        self._mirror = Mirror()
        self.previews = previews = RedisPreviews(self._connection)
        self._keeper = Keeper(self._connection, process, self._pulse.wake)
        self._listener = Listener(self._connection, self._found)
        self._claimer = Claimer(self._connection, process, self._keeper, self._listener, self._pulse)
        self._hearing = Hearing(
            self._connection, self._pulse, self._mirror, self._keeper, self._claimer, previews
        )
        self._looked_over = False
        self._began: bytes | None = None
        """Where the counting of jobs had begun when we looked last."""
        self._losses = Complaints()
        self._listener.hear(self._hearing.hear)
        self._keeper.start()

    # --- what clients ask -------------------------------------------------------------------------------

    def submit(self, ticket: Ticket, *, limit: int, key: IdempotencyKey | None = None) -> str:
        return self._submit([ticket], limit, key)

    def submit_all(self, tickets: Sequence[Ticket], *, limit: int) -> None:
        self._submit(tickets, limit, None)

    def _submit(self, tickets: Sequence[Ticket], limit: int, name: IdempotencyKey | None) -> str:
        arguments: list[object] = [
            limit,
            name.value if name else "",
            name.fingerprint if name else "",
            int(KEY_SECONDS),
            codec.write_progress(Progress()),
        ]
        for one in tickets:
            lane = write_lane(lane_of(one))
            arguments += [one.id, lane, repr(one.created_at), codec.write_ticket(one)]
        answer, *about = self._connection.run(scripts.SUBMIT, *arguments)
        match answer.decode():
            case "full":
                raise QueueFull(limit, _RETRY_AFTER)
            case "reused":
                raise KeyReused
            case "exists":
                raise JobExists(about[0].decode())
        self._pulse.wake()
        return str(about[0].decode())

    def progress(self, job_id: str) -> Progress:
        if (known := self.at_hand(job_id)) is not None:
            return known
        content = self._connection.call("HGET", job(job_id), "progress")
        if content is None:
            raise UnknownJob(job_id)
        progress = codec.read_progress(content) or Progress()
        self._mirror.show(job_id, progress)
        return progress

    def at_hand(self, job_id: str) -> Progress | None:
        if hold := self._keeper.of(job_id):
            return hold.progress
        return self._mirror.look(job_id) if self._listener.hears else None

    def ticket(self, job_id: str) -> Ticket:
        content = self._connection.call("HGET", job(job_id), "ticket")
        if content is None:
            raise UnknownJob(job_id)
        return codec.read_ticket(job_id, content)

    def cancel(self, job_id: str) -> Progress:
        for _ in range(_TRIES):
            content = self._connection.call("HGET", job(job_id), "progress")
            if content is None:
                raise UnknownJob(job_id)
            progress = codec.read_progress(content) or Progress()
            if progress.state.ended:
                raise JobEnded(job_id, progress.state)
            after = progress.evolve(Cancelled(), time.time())
            answer = self._connection.run(
                scripts.CANCEL, job_id, content, codec.write_progress(after), after.number
            )
            if answer == b"asked":
                if hold := self._keeper.of(job_id):
                    hold.cancelled = True
                return progress
            if answer == b"ended":
                self._mirror.drop(job_id)
                return after
        raise StorageUnavailable(f"Job {job_id} changes too quickly to be cancelled; try again")

    def forget(self, job_id: str) -> None:
        self._connection.run(scripts.FORGET, job_id, int(TOMBSTONE_SECONDS))
        self._hearing.gone(job_id)

    def epitaph(self, job_id: str) -> Progress | None:
        content = self._connection.call("GET", grave(job_id))
        return codec.read_progress(content) if content else None

    def position(self, job_id: str) -> int | None:
        rank = self._connection.call("ZRANK", key("waiting"), job_id)
        return None if rank is None else int(rank) + 1

    def listing(self, limit: int) -> Listing:
        running, waiting, total = self._connection.calls(
            [
                ("ZRANGE", key("running"), 0, _RUNNING_LISTED - 1),
                ("ZRANGEBYSCORE", key("waiting"), "-inf", "+inf", "LIMIT", 0, limit),
                ("ZCARD", key("waiting")),
            ]
        )
        places = {name: place for place, name in enumerate(waiting, start=1)}
        return Listing(self._entries(running, {}), self._entries(waiting, places), total)

    def _entries(self, names: list[bytes], places: dict[bytes, int]) -> list[Entry]:
        asked = [("HMGET", job(name.decode()), "created", "progress") for name in names]
        found = self._connection.calls(asked) if asked else []
        return [
            Entry(
                name.decode(), float(created), codec.read_progress(progress) or Progress(), places.get(name)
            )
            for name, (created, progress) in zip(names, found, strict=True)
            if created is not None  # forgotten meanwhile
        ]

    # --- what workers ask -------------------------------------------------------------------------------

    def claim(
        self, wanted: Callable[[Lane], bool] | None = None, *, preference: Preference | None = None
    ) -> Claim | None:
        return self._claimer.claim(self, wanted, preference)

    def save(self, claim: Claim, progress: Progress, *, durable: bool) -> None:
        """Steps are written twice a second by the keeper, and never wait; all else is written now."""
        hold = _hold_of(claim)
        if not durable and isinstance(progress.recent[-1].event, Step | Phase):
            self._keeper.defer(hold, progress)
            return
        self._keeper.write(hold, progress, dead.letter_of(claim.ticket, progress))
        self._mirror.update(claim.ticket.id, progress)

    def cancel_requested(self, claim: Claim) -> bool:
        return _hold_of(claim).cancelled

    def release(self, claim: Claim) -> None:
        hold = _hold_of(claim, ended=claim.progress.state.ended)
        self._keeper.remove(hold)
        if claim.progress.state.ended:
            return
        # Who cannot say that it lets go says no more that it lives, which comes to the same a little later.
        with suppress(StorageUnavailable):
            if not self._connection.run(scripts.RELEASE, hold.job_id, hold.token):
                raise HoldLost(hold.job_id)
        self._pulse.wake()

    # --- upkeep -----------------------------------------------------------------------------------------

    def living(self) -> Iterator[Ticket]:
        waiting, running = self._connection.run(scripts.LIVING)
        names = [name.decode() for name in (*running, *waiting)]
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            found = self._connection.calls([("HGET", job(one), "ticket") for one in page])
            for job_id, content in zip(page, found, strict=True):
                if content is not None:
                    with suppress(DamagedJob):  # about to fail
                        yield codec.read_ticket(job_id, content)

    def accepted(self, after: int | None) -> tuple[int, list[str]]:
        asked: list[tuple[object, ...]] = [("MGET", key("number"), key("began"))]
        if after is not None:
            asked.append(("ZRANGEBYSCORE", key("order"), f"({after}", "+inf", "WITHSCORES"))
        (number, began), *lists = self._connection.calls(asked)
        found = lists[0] if lists else []
        newest = int(found[-1]) if found else int(number or 0)
        self._miss(began, newest < (after or 0))
        return newest, [name.decode() for name in found[::2]]

    def _miss(self, began: bytes | None, went_back: bool) -> None:
        """Say that Redis has lost what it had."""
        before, self._began = self._began, began
        if (went_back or before not in (None, began)) and self._losses.news("lost"):
            log.warning("Redis has lost jobs that it had; going on with those it has, and those to come")

    def ended(self, *, before: float) -> list[str]:
        found = self._connection.call("ZRANGEBYSCORE", key("ended"), "-inf", f"({before:.6f}")
        return [name.decode() for name in found]

    def sweep(self, *, ended_before: float) -> int:
        expired = self.ended(before=ended_before)
        for job_id in expired:
            self.forget(job_id)
        self._connection.run(scripts.SWEEP)
        self.previews.sweep()
        return len(expired)

    def pulse(self) -> Hashable:
        return self._pulse.value

    def wait(self, timeout: float, *, since: Hashable) -> None:
        self._pulse.wait(timeout, since=since)

    def wake(self) -> None:
        self._pulse.wake()

    def census(self) -> Census:
        return read_census(self._connection)

    def duty(self, name: str) -> RedisDuty:
        return RedisDuty(self._connection, name)

    def check(self) -> None:
        self._connection.call("SET", key("check"), "1", "PX", 1000)

    def close(self) -> None:
        with suppress(StorageUnavailable):
            self._claimer.leave()
        self._listener.stop()
        self._keeper.stop()
        self._listener.join(_STOP)
        self._keeper.join(_STOP)
        self._connection.close()

    # --- for operators ----------------------------------------------------------------------------------

    def dead_letters(self) -> list[DeadLetter]:
        """Jobs that ended in an error because engines or workers died under them."""
        return dead.letters(self._connection)

    def replay(self, job_id: str) -> None:
        """Put a dead letter's job at the end of the line, by its own id; UnknownJob."""
        dead.replay(self._connection, job_id)
        self._mirror.drop(job_id)
        self._pulse.wake()

    def drop(self, job_id: str) -> None:
        """Remove a dead letter; UnknownJob."""
        dead.drop(self._connection, job_id)

    def _found(self) -> None:
        """We hear again, and may have missed something."""
        self._mirror.clear()
        self._keeper.stir()
        self._pulse.wake()
        if not self._looked_over:
            for doubt in doubts(self._connection):
                log.warning(doubt)
            self._looked_over = True


def _hold_of(claim: Claim, *, ended: bool = False) -> Hold:
    hold = claim.hold
    assert isinstance(hold, Hold)
    if hold.lost and not ended:
        raise HoldLost(hold.job_id)
    return hold
