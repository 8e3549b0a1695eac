"""The feed of events on a store in memory whose jobs the test moves by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from diffusionapi.api.tasks.events import Stage, abort_reason
from diffusionapi.api.tasks.feed import Feed, Subscription
from diffusionapi.blobs.folder import FolderBlobs, FolderUploads
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.core.events import Cancelled, Queued, Started
from diffusionapi.errors import StorageUnavailable
from diffusionapi.intake.intake import Intake
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.service import Service
from tests.factories import a_ticket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.settings import Settings


@pytest.fixture
def service(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr("diffusionapi.api.tasks.feed._LOOK", 0.001)
    blobs = FolderBlobs(tmp_path / "outputs")
    intake = Intake(settings, FolderUploads(tmp_path / "uploads"), blobs)
    yield Service(settings, MemoryJobStore(), blobs, Catalog(settings), intake)
    intake.close()


def a_task(session: str | None = "s", dialect: str = "tasks") -> Ticket:
    return replace(a_ticket(), dialect=dialect, payload={"session": session, "username": "bob"})


async def heard(one: Subscription, count: int) -> list[tuple[str, Stage]]:
    told = []
    for _ in range(count):
        event = await asyncio.wait_for(one.events.get(), 5)
        assert event is not None
        told.append((event.ticket.id, event.stage))
    return told


async def nothing_more(one: Subscription) -> bool:
    await asyncio.sleep(0.05)
    return one.events.empty()


def test_a_task_that_came_and_went_between_two_looks_has_all_its_events(service: Service) -> None:
    async def story() -> None:
        feed = Feed(service)
        one = await feed.listen("s")
        task = await service.submit(a_task())
        await service.cancel(task)
        assert await heard(one, 3) == [(task, Stage.PENDING), (task, Stage.STARTED), (task, Stage.ENDED)]
        assert await nothing_more(one)
        feed.leave(one)

    asyncio.run(story())


def test_a_task_that_is_forgotten_before_it_was_seen_to_end_is_told_by_its_epitaph(service: Service) -> None:
    async def story() -> None:
        feed = Feed(service)
        task = await service.submit(a_task())
        one = await feed.listen("s")
        await service.cancel(task)
        await service.forget(task)
        assert await heard(one, 2) == [(task, Stage.STARTED), (task, Stage.ENDED)]
        feed.leave(one)

    asyncio.run(story())


def test_a_task_that_waits_again_is_not_told_again(service: Service) -> None:
    async def story() -> None:
        feed = Feed(service)
        one = await feed.listen("s")
        task = await service.submit(a_task())
        claim = service.store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        assert await heard(one, 2) == [(task, Stage.PENDING), (task, Stage.STARTED)]
        claim.record(Queued("crashed"))
        claim.record(Started(2, "w"))
        assert await nothing_more(one)
        claim.record(Cancelled())
        claim.release()
        assert await heard(one, 1) == [(task, Stage.ENDED)]
        feed.leave(one)

    asyncio.run(story())


def test_only_tasks_of_the_session_are_told(service: Service) -> None:
    async def story() -> None:
        feed = Feed(service)
        one = await feed.listen("s")
        for ticket in (a_task("other"), a_task(None), a_task(dialect="primary")):
            await service.submit(ticket)
        own = await service.submit(a_task())
        assert await heard(one, 1) == [(own, Stage.PENDING)]
        assert await nothing_more(one)
        feed.leave(one)

    asyncio.run(story())


def test_who_listens_later_hears_what_comes_later(service: Service) -> None:
    async def story() -> None:
        feed = Feed(service)
        first = await feed.listen("s")
        task = await service.submit(a_task())
        second = await feed.listen("s")
        await service.cancel(task)
        assert await heard(first, 3) == [(task, Stage.PENDING), (task, Stage.STARTED), (task, Stage.ENDED)]
        assert await heard(second, 2) == [(task, Stage.STARTED), (task, Stage.ENDED)]
        feed.leave(first)
        feed.leave(second)
        third = await feed.listen("s")
        another = await service.submit(a_task())
        assert await heard(third, 1) == [(another, Stage.PENDING)]
        feed.leave(third)

    asyncio.run(story())


def test_a_listener_that_is_too_slow_is_let_go(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusionapi.api.tasks.feed._KEPT", 2)

    async def story() -> None:
        feed = Feed(service)
        slow, quick = await feed.listen("s"), await feed.listen("s")
        task = await service.submit(a_task())
        await heard(quick, 1)
        await service.cancel(task)
        await heard(quick, 2)
        assert await heard(slow, 2) == [(task, Stage.PENDING), (task, Stage.STARTED)]
        assert await slow.events.get() is None
        assert slow.overrun
        assert not quick.overrun
        feed.leave(slow)
        feed.leave(quick)

    asyncio.run(story())


def test_storage_that_fails_for_a_while_loses_no_event(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy, failing = service.store.progress, True

    def progress(job_id: str) -> Progress:
        if failing:
            raise StorageUnavailable("for a while")
        return healthy(job_id)

    async def story() -> None:
        nonlocal failing
        feed = Feed(service)
        one = await feed.listen("s")
        monkeypatch.setattr(service.store, "progress", progress)
        tasks = [await service.submit(a_task()) for _ in range(2)]
        assert await nothing_more(one)
        failing = False
        assert await heard(one, 2) == [(task, Stage.PENDING) for task in tasks]
        feed.leave(one)

    asyncio.run(story())


def test_the_feed_goes_on_when_the_store_has_lost_what_it_had(service: Service) -> None:
    """What was followed is over, and what comes is told, also when it came before anybody looked."""

    async def story() -> None:
        feed = Feed(service)
        one = await feed.listen("s")
        lost = [await service.submit(a_task()) for _ in range(3)]
        assert await heard(one, 3) == [(task, Stage.PENDING) for task in lost]
        service.store = MemoryJobStore()
        new = await service.submit(a_task())
        told = await heard(one, 7)
        assert sorted(told) == sorted([*((task, stage) for task in lost for stage in (2, 3)), (new, 1)])
        await service.cancel(new)
        assert await heard(one, 2) == [(new, Stage.STARTED), (new, Stage.ENDED)]
        assert await nothing_more(one)
        feed.leave(one)

    asyncio.run(story())


def test_of_a_task_that_is_lost_it_is_told_that_it_was_aborted_and_why(service: Service) -> None:
    async def story() -> None:
        feed = Feed(service)
        one = await feed.listen("s")
        await service.submit(a_task())
        await heard(one, 1)
        service.store = MemoryJobStore()
        await heard(one, 1)
        told = await asyncio.wait_for(one.events.get(), 5)
        assert told is not None
        assert abort_reason(told.ticket, told.progress) == (
            "Internal error: The queue has lost the task; submit it again"
        )
        feed.leave(one)

    asyncio.run(story())


def test_a_queue_that_cannot_be_watched_is_told_once(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0

    def accepted(_: int | None) -> tuple[int, list[str]]:
        nonlocal looks
        looks += 1
        raise StorageUnavailable("The queue cannot be reached")

    async def story() -> None:
        feed = Feed(service)
        one = await feed.listen("s")
        monkeypatch.setattr(service.store, "accepted", accepted)
        while looks < 5:  # noqa: ASYNC110 - a look tells nobody
            await asyncio.sleep(0.001)
        feed.leave(one)

    asyncio.run(asyncio.wait_for(story(), 10))
    assert caplog.text.count("cannot be watched") == 1


def test_listeners_are_told_when_the_server_stops(service: Service) -> None:
    async def story() -> None:
        feed = Feed(service)
        one = await feed.listen("s")
        service.close()
        assert await asyncio.wait_for(one.events.get(), 5) is None
        assert not one.overrun

    asyncio.run(story())
