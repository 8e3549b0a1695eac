"""What things are called in Redis. All keys share one hash tag, so that a cluster keeps them in one slot.

job:{id}        hash: ticket, progress, state, lane, entry, number, since, created; while it is held token and
                worker; cancel once its client took it back
lane:{lane}     stream: one entry a job that has not ended; the consumer group `workers` has what is held
line:{lane}     sorted set: jobs of the lane that may be claimed, by number
lanes           set: lanes that have a stream
waiting         sorted set: jobs that wait, by priority and number
running, order  sorted sets: jobs that run, and all jobs, by number
ended           sorted set: jobs that ended, by when (s, Redis' clock)
held            set: jobs that somebody holds
number, token   counters: of jobs, and of holds (what fences a holder that was taken for dead)
began           where the counting of jobs began; another one when Redis has lost what it had
grave:{id}      the last progress of a forgotten job, for a while
key:{key}       hash: what was submitted under an idempotency key, for a while
posts, crowd    hashes: which model a worker is on; how many are on a model
seen            sorted set: workers by when they last claimed
idle, idle:{model}
                sorted sets: workers that looked and found nothing, by when
looked, attentive
                when somebody last looked for dead holders, and since when that goes on without a gap
dead, letters   sorted set and hash: jobs that ended in an error for crashes
redelivered     counter: holds that were taken from the dead
preview:{id}    the latest preview of a running job, for a while
duty:{name}     what one process at a time does, by a token that proves it, for a while
records, record, record-names, record-group, webhooks, secret
                what servers know in common beside jobs: see records/redis.py, webhooks/redis_journal.py
check, nothing  written to see whether that is possible; never there
changes         channel: see messages.py
"""

from __future__ import annotations

from typing import Any, cast

from diffusionapi.core.lane import Lane

ROOT = "{diffusionapi}"
GROUP = "workers"
NOBODY = "nobody"
"""The consumer that has what was released."""


def key(*parts: str) -> str:
    return ":".join((ROOT, *parts))


def job(job_id: str) -> str:
    return key("job", job_id)


def grave(job_id: str) -> str:
    return key("grave", job_id)


CHANGES = key("changes")


def write_lane(lane: Lane) -> str:
    return f"{lane.priority}:{lane.kind}:{lane.model}"


def read_lane(text: str) -> Lane:
    priority, kind, model = text.split(":", 2)
    return Lane(cast("Any", kind), model, int(priority))
