"""A worker among others on many machines: jobs that are taken from it, storage that is away for a while."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from diffusionapi.core.events import Finished, Phase, Picture, Queued, Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.engine.engine import Rendered
from diffusionapi.errors import EngineDied, HoldLost, StorageFull, StorageUnavailable
from diffusionapi.jobs.affinity import Preference
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.jobs.store import Claim
from tests.server import wait_until
from tests.worker.house import House, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from diffusionapi.core.job import Progress
    from diffusionapi.core.lane import Lane
    from diffusionapi.core.work import Work
    from diffusionapi.engine.engine import Engine, Happening


class SharedStore(MemoryJobStore):
    """One that can take a job from its holder, and that can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.refused = 0
        self.asked: list[Preference | None] = []
        self.released: list[Claim] = []
        self._holders: dict[str, Claim] = {}

    def claim(
        self, wanted: Callable[[Lane], bool] | None = None, *, preference: Preference | None = None
    ) -> Claim | None:
        self._reach()
        claim = super().claim(wanted, preference=preference)
        if claim is not None:
            self.asked.append(preference)
            self._holders[claim.ticket.id] = claim
        return claim

    def take(self, job_id: str) -> Claim:
        """As another worker that thinks the holder dead."""
        held = self._holders[job_id]
        claim = self._holders[job_id] = Claim(self, held.ticket, self.progress(job_id), held.hold)
        return claim

    def save(self, claim: Claim, progress: Progress, *, durable: bool) -> None:
        self._reach()
        self._check(claim)
        super().save(claim, progress, durable=durable)

    def cancel_requested(self, claim: Claim) -> bool:
        self._reach()
        self._check(claim)
        return super().cancel_requested(claim)

    def release(self, claim: Claim) -> None:
        self._reach()
        self._check(claim)
        self.released.append(claim)
        super().release(claim)

    def _reach(self) -> None:
        if self.away:
            self.refused += 1
            raise StorageUnavailable("The store is away")

    def _check(self, claim: Claim) -> None:
        if self._holders[claim.ticket.id] is not claim:
            raise HoldLost(claim.ticket.id)


class Stubborn(Scripted):
    """What is cancelled leaves it only when it is told to let go."""

    lets_go = False
    refusals = 0

    def admit(self, job_id: str, work: Work) -> None:
        assert job_id not in self._running
        super().admit(job_id, work)

    def step(self, timeout: float) -> list[Happening]:
        if not self.lets_go and any(one.cancelled for one in self._running.values()):
            self.refusals += 1
            return []
        return super().step(timeout)


@pytest.fixture
def store() -> SharedStore:
    return SharedStore()


@pytest.fixture
def house(tmp_path: Path, store: SharedStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr("diffusionapi.worker.worker._RETRY", 0.02)
    house = House(tmp_path, store)
    yield house
    store.away = False
    house.stop()


def counted(house: House, name: str, **labels: str) -> float:
    (family,) = [one for one in house.figures.families() if one.name == name]
    (value,) = [one.value for one in family.samples if one.labels == labels]
    return value


def lost(house: House) -> float:
    return counted(house, "worker_redeliveries_total", cause="lost")


# --- a job that another has taken -------------------------------------------------------------------------


def test_a_job_that_was_taken_is_dropped_at_once_and_not_a_word_is_said_of_it(
    house: House, store: SharedStore
) -> None:
    job_id, following = house.submit(steps=100_000), house.submit()
    house.work(step_seconds=0.001)
    house.wait_for(job_id, JobState.RUNNING)
    other = store.take(job_id)
    before = other.progress.number
    house.wait_for(following, JobState.DONE)  # by the same engine, which has room again
    assert len(house.engines) == 1
    assert store.progress(job_id).number == before
    assert [one.ticket.id for one in store.released] == [following]
    other.record(Finished(Picture(f"{job_id}.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)))
    assert store.progress(job_id).attempts == 1
    assert lost(house) == 1


def test_the_result_of_a_job_that_was_taken_is_not_kept(
    house: House, store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, following = house.submit(), house.submit()
    step = Scripted.step

    def frozen_at_the_end(engine: Scripted, timeout: float) -> list[Happening]:
        happened = step(engine, timeout)
        if any(name == job_id and isinstance(event, Rendered) for name, event in happened):
            store.take(job_id)
        return happened

    monkeypatch.setattr(Scripted, "step", frozen_at_the_end)
    house.work()
    house.wait_for(following, JobState.DONE)
    assert not house.blobs.exists(f"{job_id}.png")
    assert store.progress(job_id).state is JobState.RUNNING
    assert lost(house) == 1
    assert len(house.engines) == 1


def test_a_picture_that_waits_for_room_is_given_up_when_its_job_was_taken(
    house: House, store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, tries, full = house.blobs.put, threading.Semaphore(0), [True]

    def full_for_a_while(name: str, content: bytes) -> None:
        if full[0]:
            tries.release()
            raise StorageFull("No space left")
        put(name, content)

    monkeypatch.setattr(house.blobs, "put", full_for_a_while)
    job_id = house.submit()
    house.work()
    assert tries.acquire(timeout=20)
    store.take(job_id)
    wait_until(lambda: lost(house) == 1, 20)
    full[0] = False
    house.wait_for(house.submit(), JobState.DONE)
    assert not house.blobs.exists(f"{job_id}.png")


def test_the_death_of_an_engine_is_no_matter_of_a_job_that_was_taken(
    house: House, store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, other = house.submit(steps=100_000), house.submit(steps=100_000)
    step = Scripted.step

    def die_once(engine: Scripted, timeout: float) -> list[Happening]:
        if len(house.engines) == 1:
            store.take(job_id)
            raise EngineDied("it was told to die")
        return step(engine, timeout)

    monkeypatch.setattr(Scripted, "step", die_once)
    house.work(step_seconds=0.001, capacity=2)
    wait_until(lambda: store.progress(other).attempts == 2, 20)
    assert store.progress(other).crashes == 1
    assert (store.progress(job_id).state, store.progress(job_id).crashes) == (JobState.RUNNING, 0)


def test_a_stop_gives_nothing_back_that_was_taken(house: House, store: SharedStore) -> None:
    job_id = house.submit(steps=100_000)
    worker = house.work(step_seconds=0.001)
    house.wait_for(job_id, JobState.RUNNING)
    store.take(job_id)
    wait_until(lambda: lost(house) == 1, 20)
    worker.stop()
    worker.join(10)
    assert store.progress(job_id).state is JobState.RUNNING
    assert store.released == []
    assert lost(house) == 1


def test_a_job_that_comes_back_is_not_begun_while_the_engine_still_has_it(
    house: House, store: SharedStore
) -> None:
    engines: list[Stubborn] = []

    def start() -> Engine:
        engines.append(Stubborn(house.props, capacity=2, step_seconds=0.001))
        return engines[-1]

    job_id = house.submit(steps=100)
    house.work(start=start)
    house.wait_for(job_id, JobState.RUNNING)
    other = store.take(job_id)
    wait_until(lambda: lost(house) == 1, 20)
    other.record(Queued("given back"))
    other.release()
    (engine,) = engines
    seen = engine.refusals
    wait_until(lambda: engine.refusals > seen + 3, 20)
    assert store.progress(job_id).state is JobState.QUEUED
    engine.lets_go = True
    house.wait_for(job_id, JobState.DONE)
    assert len(engines) == 1


def test_a_job_that_is_lost_before_it_begins_is_left_alone(
    house: House, store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = house.submit()
    claim = SharedStore.claim

    def frozen_after_it(
        self: SharedStore,
        wanted: Callable[[Lane], bool] | None = None,
        *,
        preference: Preference | None = None,
    ) -> Claim | None:
        found = claim(self, wanted, preference=preference)
        if found is not None and found.ticket.id == job_id:
            self.take(job_id)
        return found

    monkeypatch.setattr(SharedStore, "claim", frozen_after_it)
    house.work()
    house.wait_for(house.submit(), JobState.DONE)
    assert store.progress(job_id).recent == ()
    assert len(house.engines) == 1


# --- storage that is away ---------------------------------------------------------------------------------


def test_rendering_goes_on_while_the_store_is_away_and_all_is_told_when_it_is_back(
    house: House, store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered, step = threading.Event(), Scripted.step

    def watched(engine: Scripted, timeout: float) -> list[Happening]:
        happened = step(engine, timeout)
        if any(isinstance(event, Rendered) for _, event in happened):
            rendered.set()
        return happened

    monkeypatch.setattr(Scripted, "step", watched)
    job_id = house.submit(steps=40)
    house.work(step_seconds=0.005)
    house.wait_for(job_id, JobState.RUNNING)
    store.away = True
    before = store.progress(job_id).number
    assert rendered.wait(20)
    assert store.progress(job_id).number == before
    store.away = False
    house.wait_for(job_id, JobState.DONE)
    progress = store.progress(job_id)
    assert [one.event.step for one in progress.recent if isinstance(one.event, Step)] == list(range(1, 41))
    assert (progress.attempts, progress.crashes) == (1, 0)
    assert len(house.engines) == 1
    assert house.blobs.exists(f"{job_id}.png")
    house.wait_for(house.submit(), JobState.DONE)


def test_the_neighbours_of_a_picture_that_waits_for_storage_lose_no_time(
    house: House, store: SharedStore
) -> None:
    short, long = house.submit(steps=20), house.submit(steps=60)
    house.work(step_seconds=0.005, capacity=2, job_timeout=1.5)
    house.wait_for(long, JobState.RUNNING)
    store.away = True
    back = time.monotonic() + 2.0
    wait_until(lambda: time.monotonic() > back, 20)
    store.away = False
    for job_id in (short, long):
        house.wait_for(job_id, JobState.DONE)
        assert store.progress(job_id).attempts == 1
    assert len(house.engines) == 1


def test_an_idle_worker_outlives_a_store_that_is_away(house: House, store: SharedStore) -> None:
    house.work()
    wait_until(lambda: house.engines, 20)
    store.away = True
    wait_until(lambda: store.refused >= 3, 20)
    store.away = False
    house.wait_for(house.submit(), JobState.DONE)
    assert len(house.engines) == 1


def test_a_note_that_could_not_be_written_goes_with_the_next(store: SharedStore, house: House) -> None:
    job_id = house.submit()
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    store.away = True
    with pytest.raises(StorageUnavailable):
        claim.note(Phase("generation"))
    claim.note(Step(1, 4, 0.25), write=False)
    store.away = False
    assert store.progress(job_id).number == 1
    claim.note(Step(2, 4, 0.5))
    progress = store.progress(job_id)
    assert [one.event for one in progress.recent[1:]] == [
        Phase("generation"),
        Step(1, 4, 0.25),
        Step(2, 4, 0.5),
    ]
    assert (progress.phase, progress.fraction) == ("generation", 0.5)


# --- what it holds ----------------------------------------------------------------------------------------


def test_a_worker_says_which_model_it_holds_and_counts_what_it_loads(
    house: House, store: SharedStore
) -> None:
    jobs = [house.submit(model=model) for model in ("a", "a", "b", "a")]
    house.work(stay=7)
    for job_id in jobs:
        house.wait_for(job_id, JobState.DONE)
    assert store.asked == [
        Preference("w", None, 0, 7),
        Preference("w", "a", 1, 7),
        Preference("w", "a", 2, 7),
        Preference("w", "b", 1, 7),
    ]
    assert counted(house, "worker_jobs_total") == 4
    assert counted(house, "worker_loads_total") == 3


def test_a_new_engine_holds_no_model(house: House, store: SharedStore) -> None:
    doomed, good = house.submit(model="a", prompt="die"), house.submit(model="a")
    house.work()
    house.wait_for(good, JobState.DONE)
    assert store.progress(doomed).state is JobState.FAILED
    assert store.asked == [Preference("w", None, 0, 16)] * 4


# --- on a store that many machines share ------------------------------------------------------------------


@pytest.mark.parametrize(("stay", "loads", "runs"), [(16, 2, ["a" * 6, "b" * 6]), (3, 4, ["aaa", "bbb"] * 2)])
def test_jobs_of_one_model_are_taken_together_for_as_long_as_the_run_may_be(
    shared: House, stay: int, loads: int, runs: list[str]
) -> None:
    jobs = {shared.submit(model=model): model for model in "ab" * 6}
    shared.work(stay=stay)
    for job_id in jobs:
        shared.wait_for(job_id, JobState.DONE)
    began = {job_id: shared.store.progress(job_id).started_at or 0.0 for job_id in jobs}
    assert "".join(jobs[job_id] for job_id in sorted(jobs, key=began.__getitem__)) == "".join(runs)
    assert counted(shared, "worker_loads_total") == loads
