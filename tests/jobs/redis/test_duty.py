"""What one process of all does at a time: who has it, and who comes after."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from diffusionapi.errors import StorageUnavailable
from diffusionapi.jobs.redis import duty
from diffusionapi.jobs.redis.store import RedisJobStore
from tests.redis_server import RedisServer
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    monkeypatch.setattr(duty, "_SECONDS", 1.0)
    monkeypatch.setattr(duty, "_RENEW", 0.1)
    with RedisServer(tmp_path / "redis") as redis:
        yield redis


@pytest.fixture
def stores(redis: RedisServer) -> Iterator[tuple[RedisJobStore, RedisJobStore]]:
    with closing(RedisJobStore(redis.url)) as one, closing(RedisJobStore(redis.url)) as other:
        yield one, other


def test_one_has_it_until_it_lets_go(stores: tuple[RedisJobStore, RedisJobStore]) -> None:
    first, second = (store.duty("a") for store in stores)
    assert first.acquire()
    assert not second.acquire()
    another = stores[1].duty("b")
    assert another.acquire()
    another.release()
    first.release()
    assert not first.kept()
    wait_until(second.acquire, 0.9)  # sooner than it would end by itself
    second.release()


def test_it_is_kept_for_as_long_as_its_process_lives(stores: tuple[RedisJobStore, RedisJobStore]) -> None:
    first, second = (store.duty("a") for store in stores)
    assert first.acquire()
    with pytest.raises(AssertionError, match="not within"):
        wait_until(second.acquire, 1.5)
    assert first.kept()
    first.release()


def test_the_next_one_has_it_when_a_redis_that_lost_everything_is_back(
    redis: RedisServer, stores: tuple[RedisJobStore, RedisJobStore]
) -> None:
    first, second = (store.duty("a") for store in stores)
    assert first.acquire()
    redis.flush()
    assert second.acquire()
    wait_until(lambda: not first.kept(), 2)
    assert second.kept()
    second.release()


def test_nobody_has_it_while_redis_is_away(
    redis: RedisServer, stores: tuple[RedisJobStore, RedisJobStore]
) -> None:
    first, second = (store.duty("a") for store in stores)
    assert first.acquire()
    redis.kill()
    with pytest.raises(StorageUnavailable):
        second.acquire()
    wait_until(lambda: not first.kept(), 3)
