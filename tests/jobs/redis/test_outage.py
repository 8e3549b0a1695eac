"""A Redis that is killed, frozen, full or not there at all."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from diffusionapi.core.events import Finished, Picture, Queued, Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.errors import Misconfigured, StorageFull, StorageUnavailable
from diffusionapi.jobs.redis.store import RedisJobStore
from tests.factories import NOBODYS, a_ticket
from tests.redis_server import RedisServer
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.jobs.store import Claim

pytestmark = pytest.mark.slow

PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", appendonly=True) as server:
        yield server


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisJobStore]:
    store = RedisJobStore(server.url)
    store.wait(5, since=0)
    yield store
    store.close()


def start(store: RedisJobStore) -> Claim:
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    return claim


def answers(store: RedisJobStore) -> bool:
    try:
        store.check()
    except StorageUnavailable:
        return False
    return True


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_without_redis_everybody_is_told_within_two_seconds(
    server: RedisServer, store: RedisJobStore, how: str
) -> None:
    job_id = store.submit(a_ticket(), limit=10)
    getattr(server, how)()
    time.sleep(1.1)  # what was read a moment ago counts no more
    asks: list[Any] = [
        lambda: store.submit(a_ticket(), limit=10),
        lambda: store.progress(job_id),
        lambda: store.ticket(job_id),
        lambda: store.cancel(job_id),
        lambda: store.forget(job_id),
        lambda: store.position(job_id),
        lambda: store.listing(10),
        lambda: list(store.living()),
        lambda: store.accepted(0),
        lambda: store.epitaph(job_id),
        store.claim,
        store.check,
        store.census,
    ]
    began = time.monotonic()
    for ask in asks:
        with pytest.raises(StorageUnavailable, match="try again"):
            ask()
    assert time.monotonic() - began < 2.0  # all of them together: who has waited once need not again
    if how == "freeze":
        server.thaw()
    else:
        server.start()
    wait_until(lambda: answers(store), 3)
    assert store.progress(job_id).state is JobState.QUEUED


def test_a_store_may_be_opened_before_its_redis_is_there(server: RedisServer) -> None:
    server.kill()
    store = RedisJobStore(server.url)
    try:
        with pytest.raises(StorageUnavailable):
            store.submit(a_ticket(), limit=10)
        server.start()
        wait_until(lambda: answers(store), 3)
        job_id = store.submit(a_ticket(), limit=10)
        assert start(store).ticket.id == job_id
    finally:
        store.close()


def test_what_was_recorded_survives_a_kill_and_what_was_rendered_meanwhile_is_delivered(
    server: RedisServer, store: RedisJobStore
) -> None:
    running = store.submit(a_ticket(), limit=10)
    waiting = [store.submit(a_ticket(), limit=100) for _ in range(20)]
    claim = start(store)
    server.kill()
    claim.record(Step(1, 4, 0.25))  # nobody waits for a step to be written
    with pytest.raises(StorageUnavailable):
        claim.record(Finished(PICTURE))
    assert not claim.cancel_requested()
    server.start()
    wait_until(lambda: answers(store), 3)
    claim.record(Finished(PICTURE))
    claim.release()
    assert store.progress(running).picture == PICTURE
    assert [one.job_id for one in store.listing(100).waiting] == waiting
    assert start(store).ticket.id == waiting[0]


def test_a_hold_that_cannot_be_given_up_ends_by_itself(server: RedisServer, store: RedisJobStore) -> None:
    job_id = store.submit(a_ticket(), limit=10)
    claim = start(store)
    server.kill()
    claim.release()
    server.start()
    wait_until(lambda: answers(store), 3)
    found: list[Claim] = []

    def again() -> bool:
        if one := store.claim():
            found.append(one)
        return bool(found)

    wait_until(again, 10)
    assert found[0].ticket.id == job_id


def test_a_worker_hears_of_new_jobs_after_a_restart(server: RedisServer, store: RedisJobStore) -> None:
    api = RedisJobStore(server.url)
    try:
        assert store.claim() is None
        server.restart()
        wait_until(lambda: answers(api) and answers(store), 3)
        deadline = time.monotonic() + 3
        job_id = api.submit(a_ticket(), limit=10)
        claim = None
        while claim is None and time.monotonic() < deadline:
            pulse = store.pulse()
            claim = store.claim()
            if claim is None:
                store.wait(0.5, since=pulse)
        assert claim is not None
        assert claim.ticket.id == job_id
    finally:
        api.close()


def test_a_full_redis_refuses_submits_and_what_is_there_is_worked_off(
    server: RedisServer, store: RedisJobStore
) -> None:
    running, next_, last = (store.submit(a_ticket(), limit=10) for _ in range(3))
    claim = start(store)
    with closing(Redis.from_url(server.url)) as admin:
        admin.config_set("maxmemory", "1mb")
        with pytest.raises(StorageFull, match="no memory"):
            store.submit(a_ticket(), limit=10)
        with pytest.raises(StorageFull):
            store.check()
        claim.record(Finished(PICTURE))
        assert store.progress(running).state is JobState.DONE
        store.forget(running)
        again = start(store)
        assert again.ticket.id == next_
        again.record(Queued("given back"))
        again.release()
        store.cancel(last)
        assert [one.job_id for one in store.listing(10).waiting] == [next_]
        admin.config_set("maxmemory", "0")
    assert start(store).ticket.id == next_


def test_the_outage_is_told_once_and_without_a_stack(
    server: RedisServer, store: RedisJobStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.submit(a_ticket(), limit=10)
    start(store)
    server.kill()
    for _ in range(20):
        with pytest.raises(StorageUnavailable):
            store.ticket(NOBODYS)
        time.sleep(0.05)
    server.start()
    wait_until(lambda: answers(store), 3)
    told = [one for one in caplog.records if one.levelno >= logging.WARNING and "answer" in one.message]
    assert len(told) == 1
    assert not any(one.exc_info for one in caplog.records if one.levelno > logging.DEBUG)


def test_a_redis_that_may_lose_jobs_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer(tmp_path / "doubtful") as server:
        with closing(Redis.from_url(server.url)) as admin:
            admin.config_set("maxmemory-policy", "allkeys-lru")
        store = RedisJobStore(server.url)
        wait_until(lambda: len(caplog.messages) == 2, 5)
        store.close()
    assert "noeviction" in caplog.text
    assert "appendonly yes" in caplog.text


def test_an_address_that_is_none_is_a_mistake_of_the_operator() -> None:
    with pytest.raises(Misconfigured, match="JOB_STORE"):
        RedisJobStore("http://somewhere")
