"""The worker's rules, with an engine in this process that does what the test says."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from diffusionapi.core.events import Picture, Queued, Saving, Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.engine.fake.engine import FakeEngine
from diffusionapi.errors import EngineDied, StorageFull
from diffusionapi.worker.beginning import MAX_INTERRUPTIONS
from diffusionapi.worker.worker import Worker
from tests.server import wait_until
from tests.worker.house import House, Scripted

if TYPE_CHECKING:
    from diffusionapi.engine.engine import Engine


def test_a_job_becomes_a_picture_in_the_folder(house: House) -> None:
    job_id = house.submit(file_type="png", seed=5)
    house.work()
    house.wait_for(job_id, JobState.DONE)
    picture = house.store.progress(job_id).picture
    assert picture is not None
    assert (picture.name, picture.seed, picture.width) == (f"{job_id}.png", 5, 64)
    assert house.blobs.get(picture.name).startswith(b"\x89PNG")
    kinds = [one.event.kind for one in house.store.progress(job_id).recent]
    assert kinds == ["started", "phase", "step", "step", "step", "step", "saving", "finished"]


def test_previews_go_to_those_who_want_them_and_end_with_the_job(house: House) -> None:
    wanted, other = house.submit(steps=1000), house.submit(steps=1000)
    house.store.previews.want(wanted)
    house.work(capacity=2, step_seconds=0.01)
    wait_until(lambda: house.store.previews.latest(wanted) is not None, 20)
    assert house.store.previews.latest(other) is None
    house.store.cancel(wanted)
    house.wait_for(wanted, JobState.CANCELLED)
    wait_until(lambda: house.store.previews.latest(wanted) is None, 20)
    assert not house.store.previews.wanted(wanted)


def test_previews_end_when_nobody_wants_them_any_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[tuple[str, bool]] = []
    monkeypatch.setattr(Scripted, "preview", lambda _, job_id, on: orders.append((job_id, on)))
    job_id = house.submit(steps=1000)
    house.store.previews.want(job_id)
    house.work(step_seconds=0.01)
    wait_until(lambda: orders, 20)
    house.store.previews.drop(job_id)
    wait_until(lambda: len(orders) == 2, 20)
    assert orders == [(job_id, True), (job_id, False)]


def test_the_next_job_of_a_line_starts_as_soon_as_one_has_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionapi.worker.worker._NAP", 60)
    jobs = [house.submit() for _ in range(4)]
    house.work()
    for job_id in jobs:
        house.wait_for(job_id, JobState.DONE)


def test_progress_never_goes_back_within_an_attempt(house: House) -> None:
    job_id = house.submit(steps=30)
    house.work()
    house.wait_for(job_id, JobState.DONE)
    fractions = [
        one.event.fraction for one in house.store.progress(job_id).recent if isinstance(one.event, Step)
    ]
    assert fractions == sorted(fractions)
    assert len(fractions) == 30


def test_a_failure_of_the_engine_ends_the_job_at_once(house: House) -> None:
    job_id = house.submit(prompt="#fail@2")
    house.work()
    house.wait_for(job_id, JobState.FAILED)
    assert house.store.progress(job_id).attempts == 1


def test_a_job_under_which_the_engine_dies_runs_three_times_and_ends_in_an_error(house: House) -> None:
    doomed, good = house.submit(prompt="die"), house.submit()
    house.work()
    house.wait_for(good, JobState.DONE)
    progress = house.store.progress(doomed)
    assert progress.state is JobState.FAILED
    assert (progress.attempts, progress.crashes) == (3, 2)
    assert progress.failure is not None
    assert "died 3 times" in progress.failure.sentence
    assert "it was told to die" in progress.failure.sentence
    assert all(engine.closed for engine in house.engines[:3])


def test_a_defect_of_ours_counts_against_its_job_and_not_against_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Worker, run: object, __: object) -> None:
        raise RuntimeError(f"a defect under {run}")

    with monkeypatch.context() as defect:
        defect.setattr(Worker, "_finish", broken)
        job_id = house.submit()
        house.work()
        house.wait_for(job_id, JobState.FAILED)
    assert house.store.progress(job_id).attempts == 3
    house.wait_for(house.submit(), JobState.DONE)


def test_a_job_that_hangs_is_ended_by_its_time_limit_and_says_so(house: House) -> None:
    hanging, good = house.submit(prompt="hang"), house.submit()
    house.work(job_timeout=0.1)
    house.wait_for(good, JobState.DONE)
    failure = house.store.progress(hanging).failure
    assert failure is not None
    assert "3 attempts" in failure.sentence
    assert "0.1 seconds (JOB_TIMEOUT)" in failure.sentence


def test_neighbours_of_a_job_that_hangs_lose_no_attempt(house: House) -> None:
    hanging, neighbour = house.submit(prompt="hang"), house.submit(prompt="calm")
    house.work(job_timeout=0.3, capacity=2)
    house.wait_for(hanging, JobState.FAILED)
    house.wait_for(neighbour, JobState.DONE)
    assert house.store.progress(neighbour).crashes == 0


def test_jobs_run_side_by_side_when_the_engine_has_room(house: House) -> None:
    slow, quick = house.submit(steps=100_000), house.submit(steps=1)
    house.work(capacity=2, step_seconds=0.002)
    house.wait_for(quick, JobState.DONE)
    assert house.store.progress(slow).state is JobState.RUNNING


def test_a_running_job_stops_when_it_is_cancelled(house: House) -> None:
    job_id = house.submit(steps=100_000)
    house.work(step_seconds=0.001)
    house.wait_for(job_id, JobState.RUNNING)
    house.store.cancel(job_id)
    house.wait_for(job_id, JobState.CANCELLED)
    assert not house.blobs.exists(f"{job_id}.png")


def test_a_job_that_hangs_and_was_cancelled_ends_as_cancelled(house: House) -> None:
    job_id = house.submit(prompt="hang")
    house.work(job_timeout=0.5)
    house.wait_for(job_id, JobState.RUNNING)
    house.store.cancel(job_id)
    house.wait_for(job_id, JobState.CANCELLED)


def test_a_stop_gives_the_running_job_back_as_if_never_begun(house: House) -> None:
    job_id = house.submit(steps=100_000)
    worker = house.work(step_seconds=0.001)
    house.wait_for(job_id, JobState.RUNNING)
    worker.stop()
    worker.join(5)
    assert not worker.is_alive()
    progress = house.store.progress(job_id)
    assert (progress.state, progress.attempts, progress.crashes) == (JobState.QUEUED, 0, 0)
    assert house.store.position(job_id) == 1
    claim = house.store.claim()
    assert claim is not None
    claim.release()


def test_an_engine_that_does_not_start_is_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusionapi.worker.worker._RETRY", 0.01)
    tries = []

    def start() -> Engine:
        tries.append(1)
        if len(tries) < 3:
            raise EngineDied("no device")
        return FakeEngine(house.props, capacity=1, step_seconds=0)

    job_id = house.submit()
    house.work(start=start)
    house.wait_for(job_id, JobState.DONE)
    assert house.store.progress(job_id).attempts == 1


def test_an_engine_that_never_starts_is_said_once_and_tried_ever_less_often(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("diffusionapi.worker.worker._RETRY", 0.01)
    tries: list[float] = []

    def start() -> Engine:
        tries.append(time.monotonic())
        if len(tries) < 6:
            raise EngineDied("no device")
        return FakeEngine(house.props, capacity=1, step_seconds=0)

    worker = house.work(start=start)
    wait_until(lambda: worker.problem, 5)
    assert worker.problem == "the engine does not start: no device"
    wait_until(lambda: len(tries) == 6, 5)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(pause >= 0.01 * 2**number for number, pause in enumerate(pauses))
    assert sum("no device" in one.getMessage() for one in caplog.records) == 1
    house.wait_for(house.submit(), JobState.DONE)
    assert worker.problem == ""


def test_an_engine_that_dies_of_nothing_again_and_again_does_not_live(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionapi.worker.worker._RETRY", 0.01)

    def doomed() -> Engine:
        engine = Scripted(house.props)
        engine.doomed = True
        return engine

    worker = house.work(start=doomed)
    wait_until(lambda: worker.problem == "the engine does not start: it was told to die", 5)


def test_a_picture_that_finds_no_room_is_kept_until_there_is_some(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionapi.worker.worker._RETRY", 0.01)
    put, tries = house.blobs.put, []

    def full_twice(name: str, content: bytes) -> None:
        tries.append(name)
        if len(tries) < 3:
            raise StorageFull("No space left")
        put(name, content)

    monkeypatch.setattr(house.blobs, "put", full_twice)
    job_id = house.submit()
    house.work()
    house.wait_for(job_id, JobState.DONE)
    assert len(tries) == 3
    assert house.store.progress(job_id).attempts == 1


# What a worker finds of one that vanished.


def leave_running(house: House, *, times: int = 1) -> str:
    job_id = house.submit()
    for attempt in range(times):
        claim = house.store.claim()
        assert claim is not None
        if claim.progress.state is JobState.RUNNING:
            claim.record(Queued("interrupted"))
        claim.record(Started(attempt + 1, "gone"))
        claim.release()
    return job_id


def test_a_job_whose_worker_vanished_runs_again(ruins: House) -> None:
    job_id = leave_running(ruins)
    ruins.work()
    ruins.wait_for(job_id, JobState.DONE)
    progress = ruins.store.progress(job_id)
    assert (progress.attempts, progress.interruptions, progress.crashes) == (2, 1, 0)


def test_a_job_under_which_servers_keep_dying_is_given_up(ruins: House) -> None:
    job_id = leave_running(ruins, times=MAX_INTERRUPTIONS)
    ruins.work()
    ruins.wait_for(job_id, JobState.FAILED)
    failure = ruins.store.progress(job_id).failure
    assert failure is not None
    assert f"died {MAX_INTERRUPTIONS} times" in failure.sentence


@pytest.mark.parametrize("saved", [True, False])
def test_a_job_is_not_rendered_again_when_its_picture_was_in_place(ruins: House, saved: bool) -> None:
    job_id = ruins.submit()
    picture = Picture(f"{job_id}.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)
    claim = ruins.store.claim()
    assert claim is not None
    claim.record(Started(1, "gone"))
    claim.record(Saving(picture))
    if saved:
        ruins.blobs.put(picture.name, b"the picture of the worker that vanished")
    claim.release()
    ruins.work()
    ruins.wait_for(job_id, JobState.DONE)
    again = ruins.blobs.get(picture.name) != b"the picture of the worker that vanished"
    assert again is not saved
    assert ruins.store.progress(job_id).attempts == (1 if saved else 2)
