"""The journal in the Redis that keeps the jobs, so that it outlives the machine that delivers.

webhooks:tries:{job}    hash: what came of each try, by the message's number and the attempt
webhooks:logged         sorted set: jobs that have a log, by when the last try began
webhooks:following      set: jobs of which there may be more to tell
webhooks:reached        number of the newest job that was taken note of
"""

from __future__ import annotations

import json
import threading
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from diffusionapi.jobs.redis.names import key
from diffusionapi.webhooks.journal import Journal, Tried, Try, without_halves

if TYPE_CHECKING:
    from collections.abc import Collection

    from diffusionapi.jobs.redis.connect import Connection
    from diffusionapi.records.shared import SharedConnection

_LOGGED, _FOLLOWING, _REACHED = (key("webhooks", name) for name in ("logged", "following", "reached"))
_FORGET = """
local call, logged, following = redis.call, KEYS[1] .. ':webhooks:logged', KEYS[1] .. ':webhooks:following'

local function drop(id)
    if call('SISMEMBER', following, id) == 1 then return end
    call('DEL', KEYS[1] .. ':webhooks:tries:' .. id)
    call('ZREM', logged, id)
end

for i = 2, #ARGV do drop(ARGV[i]) end
for _, id in ipairs(call('ZRANGEBYSCORE', logged, '-inf', '(' .. ARGV[1])) do drop(id) end
return 1
"""


class RedisJournal(Journal):
    """A log is as old as its last try. A try that cannot be written down when it was made is written with
    the next word."""

    def __init__(self, shared: SharedConnection) -> None:
        self._shared = shared
        self._late: list[tuple[Any, ...]] = []
        self._writing = threading.Lock()
        shared.join(self)

    def add(self, job_id: str, one: Try, *, settled: bool) -> None:
        content = json.dumps([*astuple(without_halves(one)), settled])
        with self._writing:
            self._late += (
                ("ZADD", _LOGGED, repr(one.at), job_id),
                ("HSET", _tries(job_id), f"{one.number} {one.attempt}", content),
            )
        self._calls()

    def log(self, job_id: str) -> list[Try]:
        return [one for one, _ in self._tries_of(job_id)]

    def tried(self, job_id: str) -> dict[int, Tried]:
        found: dict[int, Tried] = {}
        for one, settled in self._tries_of(job_id):
            before = found.get(one.number)
            settled = settled or (before is not None and before.settled)
            found[one.number] = Tried(one.attempt, one.at, settled)
        return found

    def reached(self) -> int | None:
        (found,) = self._calls(("GET", _REACHED))
        return None if found is None else int(found)

    def following(self) -> list[str]:
        (found,) = self._calls(("SMEMBERS", _FOLLOWING))
        return [one.decode() for one in found]

    def follow(self, job_ids: Collection[str], *, reached: int) -> None:
        news = [("SADD", _FOLLOWING, *job_ids)] if job_ids else []
        self._calls(*news, ("SET", _REACHED, reached))

    def let_go(self, job_ids: Collection[str]) -> None:
        self._calls(*([("SREM", _FOLLOWING, *job_ids)] if job_ids else []))

    def settled(self) -> list[str]:
        (found,) = self._calls(("ZDIFF", 2, _LOGGED, _FOLLOWING))
        return [one.decode() for one in found]

    def forget(self, job_ids: Collection[str], *, tried_before: float) -> None:
        self._connection.run(_FORGET, repr(tried_before), *job_ids)

    def close(self) -> None:
        self._shared.leave(self)

    @property
    def _connection(self) -> Connection:
        return self._shared.connection

    def _calls(self, *commands: tuple[Any, ...]) -> list[Any]:
        """On one way there and back with what is late, which goes before."""
        with self._writing:
            late = len(self._late)
            if not late and not commands:
                return []
            answers = self._connection.calls([*self._late, *commands])
            self._late.clear()
            return answers[late:]

    def _tries_of(self, job_id: str) -> list[tuple[Try, bool]]:
        """In the order of the messages, and of each of its tries; each with whether that settled it."""
        found = (json.loads(one) for one in self._connection.call("HVALS", _tries(job_id)))
        tries = [(Try(*values), bool(settled)) for *values, settled in found]
        return sorted(tries, key=lambda one: (one[0].number, one[0].attempt))


def _tries(job_id: str) -> str:
    return key("webhooks", "tries", job_id)
