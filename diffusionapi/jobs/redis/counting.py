"""The census of the queue, from what Redis counts anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.jobs.census import Census, LaneCount
from diffusionapi.jobs.redis import scripts
from diffusionapi.jobs.redis.names import read_lane

if TYPE_CHECKING:
    from diffusionapi.jobs.redis.connect import Connection


def read_census(connection: Connection) -> Census:
    lanes, waiting, running, redelivered, dead = connection.run(scripts.FIGURES)
    counts = tuple(
        LaneCount(read_lane(lane.decode()), free, max(0.0, float(age))) for lane, free, age in lanes
    )
    return Census(waiting, running, counts, dead, int(redelivered))
