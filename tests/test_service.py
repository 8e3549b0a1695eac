"""The verbs that dialects share, on a store in memory whose jobs the test moves by hand."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.folder import FolderBlobs, FolderUploads
from diffusionapi.catalog.catalog import Catalog
from diffusionapi.core.events import Cancelled, Preview, Queued, Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.core.request import Mask, Source
from diffusionapi.errors import StorageUnavailable, UnknownJob
from diffusionapi.intake.intake import Intake
from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.service import Service
from tests.factories import a_request, a_ticket, a_ticket_of, a_training, an_upscaling
from tests.folders import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.core.events import Event
    from diffusionapi.core.job import Progress, Ticket
    from diffusionapi.core.work import Work
    from diffusionapi.jobs.store import Claim
    from diffusionapi.settings import Settings


@pytest.fixture
def service(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    for pause in ("_LOOK", "_LOOK_AT_LINE"):
        monkeypatch.setattr(f"diffusionapi.service.{pause}", 0.001)
    blobs = FolderBlobs(tmp_path / "outputs")
    intake = Intake(settings, FolderUploads(tmp_path / "uploads"), blobs)
    return Service(settings, MemoryJobStore(), blobs, Catalog(settings), intake)


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


def test_a_watcher_outlives_a_store_that_is_away_for_a_while(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionapi.service._LOOK_AGAIN", 0.001)
    away, look = 3, service.store.progress

    def unsteady(job_id: str) -> Progress:
        nonlocal away
        away -= 1
        if 0 <= away < 3:
            raise StorageUnavailable("The queue cannot be reached")
        return look(job_id)

    async def story() -> list[Event]:
        job_id = await service.submit(a_ticket())
        claim = service.store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        told: list[Event] = []
        async for one in service.watch(job_id):
            told.append(one.event)
            if isinstance(one.event, Started):
                monkeypatch.setattr(service.store, "progress", unsteady)
                claim.record(Cancelled())
        return told

    assert asyncio.run(story()) == [Started(1, "w"), Cancelled()]
    assert away < 0


def test_who_begins_to_watch_when_the_store_goes_away_is_told_all_when_it_is_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer has begun by then, and can say no more that the store is away."""
    monkeypatch.setattr("diffusionapi.service._LOOK_AGAIN", 0.001)
    position, away = service.store.position, [True, True]

    def unsteady(job_id: str) -> int | None:
        if away and away.pop():
            raise StorageUnavailable("The queue cannot be reached")
        return position(job_id)

    async def first(job_id: str) -> Event:
        return (await anext(service.watch(job_id))).event

    job_id = asyncio.run(service.submit(a_ticket()))
    monkeypatch.setattr(service.store, "position", unsteady)
    assert asyncio.run(first(job_id)) == Queued(position=1)
    assert not away


def test_who_waits_for_a_store_elsewhere_keeps_nobody_else_waiting(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, progress = threading.Event(), service.store.progress

    def slow(job_id: str) -> Progress:
        assert answers.wait(5)
        return progress(job_id)

    monkeypatch.setattr(MemoryJobStore, "distant", True)
    monkeypatch.setattr(service.store, "progress", slow)

    async def story() -> None:
        job_id = await service.submit(a_ticket())
        asked = [asyncio.create_task(service.look(job_id)) for _ in range(20)]
        await asyncio.sleep(0.01)
        assert not any(one.done() for one in asked)
        answers.set()
        assert {one.state for one in await asyncio.gather(*asked)} == {JobState.QUEUED}

    asyncio.run(story())


def test_what_is_at_hand_is_not_asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(_: str) -> Progress:
        raise AssertionError("the store was asked")

    job_id = asyncio.run(service.submit(a_ticket()))
    monkeypatch.setattr(service.store, "at_hand", service.store.progress)
    monkeypatch.setattr(service.store, "progress", asked)
    assert asyncio.run(service.look(job_id)).state is JobState.QUEUED


def test_a_watcher_that_wants_previews_is_given_each_new_one(service: Service) -> None:
    async def story() -> list[Event | Preview]:
        job_id = await service.submit(a_ticket())
        claim = service.store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        told: list[Event | Preview] = []
        async for one in service.watch(job_id, previews=True):
            told.append(one if isinstance(one, Preview) else one.event)
            assert service.store.previews.wanted(job_id)
            match told[-1]:
                case Started():
                    service.store.previews.put(job_id, Preview(1, 2, 64, 64, b"a"))
                    claim.record(Step(1, 2, 0.5))
                case Step(step=1):
                    service.store.previews.put(job_id, Preview(2, 2, 64, 64, b"b"))
                case Preview(step=2):
                    claim.record(Cancelled())
        return told

    assert asyncio.run(story()) == [
        Started(1, "w"),
        Preview(1, 2, 64, 64, b"a"),
        Step(1, 2, 0.5),
        Preview(2, 2, 64, 64, b"b"),
        Cancelled(),
    ]


def test_other_watchers_neither_want_previews_nor_get_any(service: Service) -> None:
    async def story() -> list[str]:
        job_id = await service.submit(a_ticket())
        claim = service.store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        service.store.previews.put(job_id, Preview(1, 2, 64, 64, b"a"))
        told: list[str] = []
        async for one in service.watch(job_id):
            told.append(one.event.kind)
            if told[-1] == "started":
                assert not service.store.previews.wanted(job_id)
                claim.record(Cancelled())
        return told

    assert asyncio.run(story()) == ["started", "cancelled"]


def test_a_watcher_says_again_and_again_that_it_wants_previews(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionapi.service._WANT", 0.01)

    async def story() -> None:
        job_id = await service.submit(a_ticket())
        claim = service.store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        watching = asyncio.ensure_future(anext(service.watch(job_id, after=9, previews=True)))
        for _ in range(3):
            while not service.store.previews.wanted(job_id):  # noqa: ASYNC110 - a wish tells nobody
                await asyncio.sleep(0.001)
            service.store.previews.drop(job_id)
        watching.cancel()

    asyncio.run(asyncio.wait_for(story(), 10))


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


# --- uploads ---------------------------------------------------------------------------------------------


def test_the_list_of_jobs_says_what_each_is_and_reads_each_ticket_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    works: list[Work] = [a_request(), an_upscaling(), a_training()]
    for one in works:
        service.store.submit(a_ticket_of(one), limit=9)
    foreign = replace(a_ticket(), dialect="tasks")
    service.store.submit(foreign, limit=9)
    first = asyncio.run(service.listing(10, "primary"))
    assert [one.mode for one in first.waiting] == ["txt2img", "upscale", "training"]

    def read(_: str) -> None:
        raise AssertionError("a ticket was read again")

    monkeypatch.setattr(service.store, "ticket", read)
    assert asyncio.run(service.listing(10, "primary")) == first


def test_what_a_job_is_whose_ticket_cannot_be_read_is_not_told(
    settings: Settings, service: Service, tmp_path: Path
) -> None:
    with closing(FileJobStore(tmp_path / "queue")) as store:
        damaged = store.submit(a_ticket(), limit=9)
        (tmp_path / "queue" / f"{damaged}_job.json").write_bytes(b"{")
        service = Service(settings, store, service.blobs, service.catalog, service.intake)
        (waiting,) = asyncio.run(service.listing(10, "primary")).waiting
        assert (waiting.job_id, waiting.mode) == (damaged, None)


def _aged_upload(uploads: Uploads, seconds: float = 2 * 86400) -> str:
    name = uploads.put(b"png")
    then = time.time() - seconds
    os.utime(folder_of(uploads) / name, (then, then))
    return name


def _ticket_with(source: str, mask: str | None = None) -> Ticket:
    painted = mask and Mask(mask, 4.0, invert=False, fill="original", only_masked=False, padding=0)
    return a_ticket(source=Source(source, 0.5, "stretch", painted or None))


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_uploads_of_jobs_that_wait_or_run_are_kept_whatever_their_age(
    service: Service, kind: str, tmp_path: Path
) -> None:
    store = service.store = MemoryJobStore() if kind == "memory" else FileJobStore(tmp_path / "queue")
    uploads = service.intake.uploads
    names = [_aged_upload(uploads) for _ in range(5)]
    running, waiting, painted, ended, unused = names
    for ticket in (_ticket_with(ended), _ticket_with(running), _ticket_with(waiting, painted)):
        store.submit(ticket, limit=10)
    for last in (Cancelled(), None):
        claim = store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        if last:
            claim.record(last)
    assert service.sweep_uploads() == 2
    assert {path.name for path in folder_of(uploads).iterdir()} == {running, waiting, painted}
    assert unused not in names[:4]
    store.close()


def test_uploads_of_living_jobs_outlive_a_restart_and_a_lost_index(service: Service, tmp_path: Path) -> None:
    folder, uploads = tmp_path / "queue", service.intake.uploads
    name = _aged_upload(uploads)
    first = FileJobStore(folder)
    first.submit(_ticket_with(name), limit=10)
    claim = first.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    first.close()  # without an end, as after a kill
    for path in folder.glob("index.sqlite*"):
        path.unlink()
    service.store = FileJobStore(folder)
    assert service.sweep_uploads() == 0
    assert uploads.get(name) == b"png"
    service.store.close()


def test_no_upload_is_removed_while_the_jobs_cannot_be_read(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[Ticket]:
        raise StorageUnavailable("Cannot read the queue")

    monkeypatch.setattr(service.store, "living", broken)
    name = _aged_upload(service.intake.uploads)
    with pytest.raises(StorageUnavailable):
        service.sweep_uploads()
    assert service.intake.uploads.get(name) == b"png"


def test_an_upload_is_young_again_at_half_its_time(service: Service) -> None:
    uploads = service.intake.uploads
    name = _aged_upload(uploads, service.settings.upload_ttl * 0.6)
    service.store.submit(_ticket_with(name), limit=10)
    assert service.sweep_uploads() == 0
    assert uploads.aged(time.time() - 60) == set()


def _training(service: Service, name: str) -> Path:
    """What a training of this name keeps for going on."""
    folder = service.settings.path(service.settings.trainings_dir) / name
    folder.mkdir(parents=True)
    (folder / "state").write_bytes(b"learnt so far")
    return folder


def test_trainings_keep_what_they_need_until_their_jobs_are_over(service: Service) -> None:
    store = service.store
    folders = {name: _training(service, name) for name in ("ended", "running", "waiting", "nobodys")}
    foreign = _training(service, ".hidden")
    for name in ("ended", "running", "waiting"):
        store.submit(a_ticket_of(a_training(name=name)), limit=10)
    for last in (Cancelled(), None):
        claim = store.claim()
        assert claim is not None
        claim.record(Started(1, "w"))
        if last:
            claim.record(last)
    assert service.sweep_trainings() == 2
    assert {name for name, folder in folders.items() if folder.exists()} == {"running", "waiting"}
    assert foreign.exists()
    assert service.sweep_trainings() == 0


def test_without_trainings_the_sweep_asks_for_no_jobs(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> Iterator[Ticket]:
        raise StorageUnavailable("Cannot read the queue")

    monkeypatch.setattr(service.store, "living", asked)
    assert service.sweep_trainings() == 0


def test_the_upkeep_sweeps_uploads(service: Service) -> None:
    async def story() -> None:
        name = _aged_upload(service.intake.uploads)
        upkeep = asyncio.create_task(service.keep_tidy())
        while (folder_of(service.intake.uploads) / name).exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
        service.close()
        await upkeep

    asyncio.run(asyncio.wait_for(story(), 10))
