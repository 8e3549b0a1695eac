"""A Redis that lost what it had: emptied, replaced by a new one, or put back from an old copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.factories import a_ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from diffusionapi.jobs.redis.store import RedisJobStore
    from tests.redis_server import RedisServer

    Opened = Callable[[], RedisJobStore]


def submit(store: RedisJobStore, count: int = 1) -> list[str]:
    return [store.submit(a_ticket(), limit=100) for _ in range(count)]


def test_who_remembers_a_place_goes_on_with_the_jobs_that_come_after_the_loss(
    opened: Opened, redis_server: RedisServer
) -> None:
    store = opened()
    submit(store, 5)
    place, _ = store.accepted(None)
    redis_server.flush()
    new = submit(opened(), 2)
    assert store.accepted(place)[1] == new


def test_who_looks_while_there_is_nothing_goes_on_from_there(
    opened: Opened, redis_server: RedisServer
) -> None:
    store = opened()
    submit(store, 5)
    place, _ = store.accepted(None)
    redis_server.flush()
    anew, none = store.accepted(place)
    assert (anew < place, none) == (True, [])
    new = submit(store, 2)
    assert store.accepted(anew)[1] == new


def test_a_redis_that_is_put_back_from_an_older_copy_says_where_it_is_now(opened: Opened, redis: Any) -> None:
    store = opened()
    submit(store, 2)
    older, _ = store.accepted(None)
    copy = {key: redis.dump(key) for key in redis.scan_iter()}
    submit(store, 3)
    place, _ = store.accepted(None)
    redis.flushall()
    for key, content in copy.items():
        redis.restore(key, 0, content)
    assert store.accepted(place) == (older, [])
    new = submit(store)
    assert store.accepted(older)[1] == new


def test_the_loss_is_told_once(
    opened: Opened, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened()
    place, _ = store.accepted(None)
    submit(store, 5)
    place, _ = store.accepted(place)
    assert "lost jobs" not in caplog.text
    redis_server.flush()
    submit(store)
    for _ in range(3):
        store.accepted(place)
    redis_server.flush()
    store.accepted(place)
    assert caplog.text.count("Redis has lost jobs") == 1
