"""Webhooks of several machines on one Redis: told once, and by another one when the first is gone."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from diffusionapi.core.events import Finished, Started
from diffusionapi.jobs.redis.store import RedisJobStore
from diffusionapi.webhooks.delivery import Patience
from tests.server import wait_until
from tests.webhooks.receiver import Receiver
from tests.webhooks.tale import a_told_ticket
from tests.webhooks.teller import telling
from tests.webhooks.test_courier import ALL, PICTURE, QUICK, blobs, run_to_the_end, running, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from diffusionapi.blobs.folder import FolderBlobs
    from diffusionapi.settings import Settings
    from diffusionapi.webhooks.courier import Courier
    from tests.redis_server import RedisServer

    Machine = Callable[..., "Courier"]

__all__ = ["blobs"]


@pytest.fixture
def on_redis(settings: Settings, redis_server: RedisServer) -> Settings:
    """The receivers of these tests are at private addresses."""
    return settings.model_copy(update={"job_store": redis_server.url, "allow_private_urls": True})


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[RedisJobStore]:
    """Of who submits and works."""
    with closing(RedisJobStore(redis_server.url)) as store:
        yield store


@contextmanager
def a_machine(
    settings: Settings, server: RedisServer, blobs: FolderBlobs, patience: Patience = QUICK
) -> Iterator[Courier]:
    with (
        closing(RedisJobStore(server.url)) as store,
        running(settings, store, blobs, patience=patience) as courier,
    ):
        yield courier


def test_of_many_machines_one_tells_and_all_know_what_was_told(
    on_redis: Settings, redis_server: RedisServer, store: RedisJobStore, blobs: FolderBlobs
) -> None:
    with Receiver() as receiver, ExitStack() as machines:
        couriers = [machines.enter_context(a_machine(on_redis, redis_server, blobs)) for _ in range(2)]
        ticket = a_told_ticket(receiver.url)
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        logs = [settled(one, ticket.id) for one in couriers]
        assert receiver.paths() == ALL
        assert logs[0] == logs[1]
        assert [one.what for one in logs[0]] == ["accepted", "started", "ended"]


def test_the_next_machine_goes_on_where_the_last_one_was(
    on_redis: Settings, redis_server: RedisServer, store: RedisJobStore, blobs: FolderBlobs
) -> None:
    """Nothing acknowledged is told again, what was tried is not forgotten, what happened since is told, also
    of jobs that came and went while nobody told."""
    slow = Patience(timeout=10, pauses=(0.05, 30))
    with Receiver({"/started": 500}) as receiver:
        with a_machine(on_redis, redis_server, blobs, patience=slow) as courier:
            first = a_told_ticket(receiver.url)
            store.submit(first, limit=9)
            claim = store.claim()
            assert claim is not None
            claim.record(Started(1, "w"))
            wait_until(lambda: len(courier.log(first.id)) == 3, 20)
        claim.record(Finished(PICTURE))
        claim.release()
        second = a_told_ticket(receiver.url)
        store.submit(second, limit=9)
        run_to_the_end(store)
        with a_machine(on_redis, redis_server, blobs) as courier:
            logs = [settled(courier, one.id) for one in (first, second)]
        for log in logs:
            assert [(one.what, one.attempt) for one in log] == [
                ("accepted", 1),
                ("started", 1),
                ("started", 2),
                ("started", 3),
                ("ended", 1),
            ]
        assert len(receiver.received) == 10


def test_jobs_that_come_after_redis_lost_all_it_had_are_told_of(
    on_redis: Settings, redis_server: RedisServer, store: RedisJobStore, blobs: FolderBlobs
) -> None:
    with Receiver() as receiver, a_machine(on_redis, redis_server, blobs) as courier:
        for _ in range(3):
            ticket = a_told_ticket(receiver.url)
            store.submit(ticket, limit=9)
            run_to_the_end(store)
            settled(courier, ticket.id)
        redis_server.flush()
        ticket = a_told_ticket(receiver.url)
        store.submit(ticket, limit=9)
        run_to_the_end(store)
        wait_until(lambda: receiver.paths()[9:] == ALL, 20)


def test_a_killed_machine_leaves_nothing_untold_and_tells_nothing_twice_that_was_acknowledged(
    on_redis: Settings,
    redis_server: RedisServer,
    store: RedisJobStore,
    blobs: FolderBlobs,
    tmp_path: Path,
) -> None:
    with Receiver() as receiver:
        tickets = [a_told_ticket(receiver.url) for _ in range(40)]
        with telling(tmp_path, redis_server.url):
            for ticket in tickets:
                store.submit(ticket, limit=99)
            wait_until(lambda: receiver.received, 60)
            for _ in tickets:
                run_to_the_end(store)
            wait_until(lambda: len(receiver.received) > 50, 60)
        with a_machine(on_redis, redis_server, blobs) as courier:
            logged = {(ticket.id, one.number) for ticket in tickets for one in courier.log(ticket.id)}
            assert len(receiver.received) < 120
            killed = time.time()
            for ticket in tickets:
                settled(courier, ticket.id)
            assert time.time() - killed < 20
        told = [one.headers["webhook-id"] for one in receiver.received]
        assert len(set(told)) == 120
        again = {one for one in told if told.count(one) > 1}
        assert not again & {f"{job_id}-{number}" for job_id, number in logged}
        assert len(again) <= 32  # those that were under way
