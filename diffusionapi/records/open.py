"""Where a process keeps its records: in files of this machine or, when its jobs are in Redis, there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.jobs.redis.names import key
from diffusionapi.records.redis import RedisRecords
from diffusionapi.records.shared import SharedConnection
from diffusionapi.records.sqlite import SqliteRecords

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.records.records import Kind, Records
    from diffusionapi.settings import Settings


class Archive:
    """Nothing is opened, made or connected before it is needed."""

    def __init__(self, settings: Settings) -> None:
        url = settings.redis_url
        self.redis = None if url is None else SharedConnection(url)
        """The way to what all machines share; None when there is only this one."""

    def records(self, kind: Kind, file: Path) -> Records:
        """Those of a kind: in this file, or in Redis. To be closed."""
        return SqliteRecords(kind, file) if self.redis is None else RedisRecords(kind, self.redis)


def doubts(settings: Settings) -> list[str]:
    """Files of a server that had its jobs elsewhere before, in which nobody looks any more."""
    places = (settings.users_file, settings.keys_file, settings.trainings_dir / "trainings.sqlite")
    there = [str(place) for place in places if settings.path(place).is_file()]
    if settings.redis_url is None or not there:
        return []
    told = "users, API keys, clients and trainings are in Redis where the jobs are; make them there anew"
    return [f"{', '.join(there)}: not used, since {told}"]


def agreed(redis: SharedConnection, name: str, proposal: bytes) -> bytes:
    """What all machines have under a name; of those who propose something first, one is heard."""
    with redis.joined() as connection:
        if (found := connection.call("GET", key(name))) is None:
            _, found = connection.calls([("SET", key(name), proposal, "NX"), ("GET", key(name))])
    return bytes(found)
