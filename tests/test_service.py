"""The verbs that dialects share, on a store in memory whose jobs the test moves by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.folder import FolderBlobs
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.core.events import Cancelled, Queued, Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.errors import UnknownJob
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.service import Service
from tests.factories import a_ticket

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.core.events import Event
    from diffusionapi.jobs.store import Claim
    from diffusionapi.settings import Settings


@pytest.fixture
def service(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    for pause in ("_LOOK", "_LOOK_AT_LINE"):
        monkeypatch.setattr(f"diffusionapi.service.{pause}", 0.001)
    return Service(settings, MemoryJobStore(), FolderBlobs(tmp_path / "outputs"), Catalog(settings))


def test_a_waiting_job_tells_its_position_as_it_moves_up(service: Service) -> None:
    async def story() -> list[Event]:
        jobs = [await service.submit(a_ticket()) for _ in range(3)]
        told: list[Event] = []
        claims: list[Claim] = []
        async for one in service.watch(jobs[-1]):
            told.append(one.event)
            if isinstance(one.event, Queued):
                claim = service.store.claim()
                assert claim is not None
                claim.record(Started(1, "w"))
                claims.append(claim)
            if isinstance(one.event, Started):
                claims[-1].record(Cancelled())
        return told

    assert asyncio.run(story()) == [
        Queued(position=3),
        Queued(position=2),
        Queued(position=1),
        Started(1, "w"),
        Cancelled(),
    ]


def test_a_wait_ends_with_the_job_or_after_its_time(service: Service) -> None:
    async def story() -> tuple[JobState, JobState]:
        job_id = await service.submit(a_ticket())
        before = await service.wait(job_id, 0.02)
        waiting = asyncio.create_task(service.wait(job_id, 60))
        await asyncio.sleep(0)
        await service.cancel(job_id)
        return before.state, (await waiting).state

    assert asyncio.run(story()) == (JobState.QUEUED, JobState.CANCELLED)


def test_a_watcher_goes_on_after_the_last_event_it_has_seen(service: Service) -> None:
    async def story() -> list[Event]:
        job_id = await service.submit(a_ticket())
        claim = service.store.claim()
        assert claim is not None
        for event in (Started(1, "w"), Step(1, 2, 0.5), Step(2, 2, 1.0), Cancelled()):
            claim.record(event)
        return [one.event async for one in service.watch(job_id, after=2)]

    assert asyncio.run(story()) == [Step(2, 2, 1.0), Cancelled()]


def test_closing_ends_watches_and_waits(service: Service) -> None:
    async def story() -> list[Event]:
        job_id = await service.submit(a_ticket())
        asyncio.get_running_loop().call_later(0.02, service.close)
        await service.wait(job_id, 60)
        return [one.event async for one in service.watch(job_id)]

    assert asyncio.run(story()) == []


def test_an_unknown_job_cannot_be_watched(service: Service) -> None:
    async def story() -> None:
        async for _ in service.watch("00000000-0000-4000-8000-000000000000"):
            pass

    with pytest.raises(UnknownJob):
        asyncio.run(story())
