"""What a journal promises to whoever delivers next, in a file, in memory and in Redis."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from diffusionapi.errors import StorageUnavailable
from diffusionapi.records.shared import SharedConnection
from diffusionapi.webhooks.journal import Journal, SqliteJournal, Tried, Try
from diffusionapi.webhooks.redis_journal import RedisJournal
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(params=["memory", "file", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Journal]]:
    """Opens a journal, and the same again as the next process would; one in memory is the same."""
    made: list[Journal] = []

    def open_one() -> Journal:
        if request.param == "redis":
            server: RedisServer = request.getfixturevalue("redis_server")
            made.append(RedisJournal(SharedConnection(server.url)))
        elif request.param == "file" or not made:
            made.append(SqliteJournal(tmp_path / "journal.sqlite" if request.param == "file" else None))
        return made[-1]

    # Asked for now, since it begins empty.
    if request.param == "redis":
        request.getfixturevalue("redis_server")
    yield open_one
    for one in made:
        one.close()


@pytest.fixture
def journal(opened: Callable[[], Journal]) -> Journal:
    return opened()


def a_try(number: int = 1, attempt: int = 1, *, at: float = 100.0, error: str = "") -> Try:
    status = None if error else 200
    return Try(number, f"message {number}", "https://shop.test/told", at, attempt, status, error, 0.25)


def test_a_log_is_in_the_order_of_the_messages_and_known_to_the_next(
    journal: Journal, opened: Callable[[], Journal]
) -> None:
    tries = [a_try(1, 1, error="status 500"), a_try(1, 2, at=101.125), a_try(2), a_try(10)]
    for one in (tries[3], tries[0], tries[2], tries[1]):
        journal.add("a", one, settled=not one.error)
    journal.add("b", a_try(), settled=True)
    assert opened().log("a") == tries
    assert opened().log("nobody") == []


def test_how_far_each_message_is(journal: Journal, opened: Callable[[], Journal]) -> None:
    journal.add("a", a_try(1, 1, at=100.0, error="status 500"), settled=False)
    journal.add("a", a_try(1, 2, at=101.5), settled=True)
    journal.add("a", a_try(2, 1, at=102.5, error="no answer"), settled=False)
    assert opened().tried("a") == {1: Tried(2, 101.5, settled=True), 2: Tried(1, 102.5, settled=False)}
    assert opened().tried("b") == {}


def test_an_address_with_half_a_character_is_kept_as_text(journal: Journal) -> None:
    journal.add("a", Try(1, "x", "http://shop.test/\ud800", 1.0, 1, None, "no host", 0.1), settled=True)
    assert [one.url for one in journal.log("a")] == ["http://shop.test/?"]


def test_who_is_followed_and_how_far_the_store_was_read(
    journal: Journal, opened: Callable[[], Journal]
) -> None:
    assert journal.reached() is None
    assert journal.following() == []
    journal.follow(["a", "b"], reached=7)
    journal.follow(["b", "c"], reached=9)
    journal.follow([], reached=12)
    journal.let_go(["b", "nobody"])
    journal.let_go([])
    assert sorted(opened().following()) == ["a", "c"]
    assert opened().reached() == 12


def test_what_is_over_can_be_forgotten_and_nothing_of_jobs_that_are_followed(journal: Journal) -> None:
    for job_id, at in (("old", 10.0), ("gone", 100.0), ("kept", 100.0), ("followed", 10.0)):
        journal.add(job_id, a_try(at=at), settled=True)
    journal.follow(["followed"], reached=1)
    assert sorted(journal.settled()) == ["gone", "kept", "old"]
    journal.forget(["gone", "followed", "nobody"], tried_before=50.0)
    assert journal.settled() == ["kept"]
    assert [len(journal.log(one)) for one in ("old", "gone", "kept", "followed")] == [0, 0, 1, 1]


def test_a_try_that_redis_did_not_hear_of_is_written_with_the_next_word(tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path) as server,
        closing(RedisJournal(SharedConnection(server.url))) as journal,
        closing(RedisJournal(SharedConnection(server.url))) as other,
    ):
        server.freeze()
        with pytest.raises(StorageUnavailable):
            journal.add("a", a_try(1), settled=True)
        server.thaw()
        assert other.log("a") == []
        while not other.log("a"):
            with suppress(StorageUnavailable):
                journal.follow([], reached=1)
        assert other.log("a") == [a_try(1)]


def test_nothing_is_left_in_redis_of_what_is_over(redis_server: RedisServer) -> None:
    with (
        closing(RedisJournal(SharedConnection(redis_server.url))) as journal,
        closing(Redis.from_url(redis_server.url)) as redis,
    ):
        journal.follow(["a"], reached=1)
        journal.add("a", a_try(), settled=True)
        journal.let_go(["a"])
        journal.forget(["a"], tried_before=0.0)
        left: Any = list(redis.scan_iter())
        assert left == [b"{diffusionapi}:webhooks:reached"]
