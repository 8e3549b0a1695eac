"""Webhooks of several machines on one Redis: told once, and by another one when the first is gone."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from diffusionapi.jobs.redis.store import RedisJobStore
from tests.redis_server import RedisServer
from tests.server import wait_until
from tests.webhooks.receiver import Receiver
from tests.webhooks.tale import a_told_ticket
from tests.webhooks.test_courier import ALL, blobs, open_settings, run_to_the_end, running

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.blobs.folder import FolderBlobs
    from diffusionapi.settings import Settings

__all__ = ["blobs", "open_settings"]


def test_of_many_machines_one_tells_and_then_another(
    open_settings: Settings, blobs: FolderBlobs, tmp_path: Path
) -> None:
    with (
        RedisServer(tmp_path / "redis") as redis,
        closing(RedisJobStore(redis.url)) as one,
        closing(RedisJobStore(redis.url)) as other,
        Receiver() as receiver,
        running(open_settings, other, blobs) as second,
    ):
        with running(open_settings, one, blobs) as first:
            told = a_told_ticket(receiver.url)
            one.submit(told, limit=9)
            run_to_the_end(one)
            wait_until(lambda: receiver.paths() == ALL, 20, receiver.paths)
            wait_until(lambda: any(len(each.log(told.id)) == len(ALL) for each in (first, second)), 10)
            assert [] in (first.log(told.id), second.log(told.id))
        # Whichever of them it was: the second goes on, and repeats nothing that has ended.
        later = a_told_ticket(receiver.url)
        one.submit(later, limit=9)
        run_to_the_end(one)
        wait_until(lambda: len(second.log(later.id)) == len(ALL), 20, receiver.paths)
        assert receiver.paths() == ALL + ALL
