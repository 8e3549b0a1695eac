"""A picture that the storage does not take is not rendered twice, whatever becomes of its worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffusionapi.blobs.spool import Spool
from diffusionapi.core.events import Picture, Started
from diffusionapi.core.job import JobState
from diffusionapi.errors import HoldLost, StorageFull, StorageUnavailable
from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.worker.pool import WorkerPool
from diffusionapi.worker.sparing import Sparing
from tests.factories import a_ticket, settings_in
from tests.server import wait_until
from tests.worker.house import House, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.core.work import Work

FAST = 0.01


def a_picture(job_id: str) -> Picture:
    return Picture(f"{job_id}.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr("diffusionapi.worker.worker._RETRY", FAST)
    house = House(tmp_path, FileJobStore(tmp_path / "queue"))
    yield house
    house.stop()


class Outage:
    """The place of pictures takes none while it is `away`."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = True
        self.refused = 0
        self._put = house.blobs.put
        monkeypatch.setattr(house.blobs, "put", self.put)

    def put(self, name: str, content: bytes) -> None:
        if self.away:
            self.refused += 1
            raise StorageUnavailable("The bucket is away")
        self._put(name, content)


@pytest.fixture
def outage(house: House, monkeypatch: pytest.MonkeyPatch) -> Outage:
    return Outage(house, monkeypatch)


@pytest.fixture
def admitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs that engines were given, each time anew."""
    jobs, admit = list[str](), Scripted.admit

    def noted(engine: Scripted, job_id: str, request: Work) -> None:
        jobs.append(job_id)
        admit(engine, job_id, request)

    monkeypatch.setattr(Scripted, "admit", noted)
    return jobs


def test_the_next_worker_of_the_machine_delivers_what_one_could_not_before_its_end(
    house: House, outage: Outage, admitted: list[str]
) -> None:
    job_id = house.submit()
    worker = house.work()
    wait_until(lambda: outage.refused > 1, 20)
    worker.stop()
    worker.join(10)
    kept = house.spool.find(job_id)
    assert kept is not None
    assert kept.content.startswith(b"\x89PNG")
    assert house.store.progress(job_id).state is JobState.QUEUED
    outage.away = False
    house.work()
    house.wait_for(job_id, JobState.DONE)
    assert admitted == [job_id]
    assert house.blobs.get(f"{job_id}.png") == kept.content
    assert house.store.progress(job_id).picture == kept.picture
    wait_until(lambda: house.spool.find(job_id) is None, 5)
    later = house.submit()
    house.wait_for(later, JobState.DONE)  # of all others it renders on


def test_what_a_worker_that_vanished_had_kept_is_delivered_and_nobody_is_blamed(
    house: House, admitted: list[str]
) -> None:
    job_id = house.submit()
    claim = house.store.claim()
    assert claim is not None
    claim.record(Started(1, "gone"))
    claim.release()
    house.spool.keep(job_id, a_picture(job_id), b"what it had rendered")
    house.work()
    house.wait_for(job_id, JobState.DONE)
    progress = house.store.progress(job_id)
    assert (progress.attempts, progress.interruptions, admitted) == (1, 0, [])
    assert house.blobs.get(f"{job_id}.png") == b"what it had rendered"


def test_a_job_that_was_cancelled_meanwhile_gets_no_picture(house: House, outage: Outage) -> None:
    job_id = house.submit()
    worker = house.work()
    wait_until(lambda: outage.refused > 0, 20)
    worker.stop()
    worker.join(10)
    house.store.cancel(job_id)
    outage.away = False
    house.work()
    house.wait_for(house.submit(), JobState.DONE)
    assert house.store.progress(job_id).state is JobState.CANCELLED
    assert not house.blobs.exists(f"{job_id}.png")


def test_a_worker_that_lives_to_deliver_leaves_no_copy(house: House, outage: Outage) -> None:
    job_id = house.submit()
    house.work()
    wait_until(lambda: house.spool.find(job_id) is not None, 20)
    outage.away = False
    house.wait_for(job_id, JobState.DONE)
    wait_until(lambda: house.spool.find(job_id) is None, 5)
    assert house.blobs.exists(f"{job_id}.png")


def test_where_nothing_is_refused_nothing_is_copied(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    monkeypatch.setattr(house.spool, "keep", lambda job_id, *_: kept.append(job_id))
    house.work()
    house.wait_for(house.submit(), JobState.DONE)
    assert kept == []


def test_a_disk_that_is_full_too_does_not_end_the_job(
    house: House, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageFull("No space left")

    monkeypatch.setattr(house.spool, "keep", full)
    job_id = house.submit()
    house.work()
    wait_until(lambda: outage.refused > 1, 20)
    outage.away = False
    house.wait_for(job_id, JobState.DONE)


def test_of_a_job_that_is_anothers_by_now_no_copy_stays(tmp_path: Path) -> None:
    def refused() -> None:
        raise StorageUnavailable("away")

    spool = Spool(tmp_path)
    with pytest.raises(HoldLost), Sparing(spool, "job", a_picture("job"), b"png") as spared:
        with pytest.raises(StorageUnavailable):
            spared(refused)()
        assert spool.find("job") is not None
        raise HoldLost("job")
    assert spool.find("job") is None


def test_at_the_start_what_no_job_needs_is_removed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path).model_copy(update={"workers": 1})
    store, spool = MemoryJobStore(), Spool(settings.path(settings.spool_dir))
    waiting = store.submit(a_ticket(), limit=10)
    cancelled = store.submit(a_ticket(), limit=10)
    store.cancel(cancelled)
    for job_id in (waiting, cancelled, "forgotten"):
        spool.keep(job_id, a_picture(job_id), b"png")
    house = House(tmp_path, store)
    pool = WorkerPool(settings, store, house.blobs, slots=None)
    pool.start()
    try:
        assert [spool.find(one) for one in (cancelled, "forgotten")] == [None, None]
        house.wait_for(waiting, JobState.DONE)
        assert house.blobs.get(f"{waiting}.png") == b"png"
    finally:
        pool.stop()
        pool.join()
