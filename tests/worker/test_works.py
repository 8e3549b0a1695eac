"""Jobs that are none of painting: their way through the worker, and who waits for whom."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.core.events import Learned, Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.errors import StorageFull, StorageRefused
from diffusionapi.weights import trained
from diffusionapi.weights.lora_file import short_hash
from tests.factories import an_upscaling
from tests.server import wait_until

if TYPE_CHECKING:
    from tests.worker.house import House

LONG = 1_000_000


def steps_of(house: House, job_id: str, *, after: int = 0) -> list[int]:
    told = house.store.progress(job_id).after(after)
    return [one.event.step for one in told if isinstance(one.event, Step)]


def wait_for_steps(house: House, job_id: str) -> None:
    wait_until(lambda: steps_of(house, job_id), 20)


def test_a_picture_that_is_made_larger_is_in_the_folder(house: House) -> None:
    job_id = house.submit_work(
        an_upscaling(upload=house.upload(48, 32), scale=1.5, file_type="jpg", quality=70)
    )
    house.work()
    house.wait_for(job_id, JobState.DONE)
    picture = house.store.progress(job_id).picture
    assert picture is not None
    assert (picture.name, picture.width, picture.height) == (f"{job_id}.jpg", 72, 48)
    assert (picture.model, picture.quality, picture.sampled) == ("Lanczos", 70, None)
    assert house.blobs.get(picture.name).startswith(b"\xff\xd8")


def test_a_training_ends_with_a_lora_in_its_folder_and_nothing_else(house: House) -> None:
    job_id = house.submit_training(steps=20)
    house.work()
    house.wait_for(job_id, JobState.DONE)
    progress = house.store.progress(job_id)
    assert progress.trained is not None
    assert (progress.trained.name, progress.trained.model, progress.trained.steps) == ("a-dog", "fake", 20)
    assert 0 < progress.trained.loss < 0.1
    assert isinstance(progress.recent[-1].event, Learned)
    assert progress.picture is None
    said = trained.read(house.lora())
    assert said is not None
    assert said.instance_prompt == "a photo of sks dog"
    wait_until(lambda: house.trainings.kept() == set(), 5)
    assert list(house.loras.iterdir()) == [house.lora()]


def test_pictures_behind_a_training_wait_for_its_end(house: House) -> None:
    training, picture = house.submit_training(steps=30), house.submit()
    house.work(step_seconds=0.001, capacity=4)
    wait_for_steps(house, training)
    assert house.store.progress(picture).state is JobState.QUEUED
    house.wait_for(picture, JobState.DONE)
    ended, started = house.store.progress(training).ended_at, house.store.progress(picture).started_at
    assert ended is not None
    assert started is not None
    assert ended <= started


def test_a_training_waits_for_the_pictures_before_it(house: House) -> None:
    picture, training = house.submit(steps=20), house.submit_training(steps=3)
    house.work(step_seconds=0.002, capacity=2)
    wait_for_steps(house, picture)
    assert steps_of(house, training) == []
    house.wait_for(training, JobState.DONE)
    assert house.store.progress(picture).state is JobState.DONE
    assert house.store.progress(training).attempts == 1


def test_pictures_go_before_a_training_that_yields(house: House) -> None:
    training = house.submit_training(steps=LONG)
    second, picture = house.submit_training("a-cat", steps=3), house.submit()
    house.work(step_seconds=0.001, training_yields=True)
    house.wait_for(picture, JobState.DONE)
    later = house.submit_work(an_upscaling(upload=house.upload()))
    house.wait_for(later, JobState.DONE)
    assert house.store.progress(training).state is JobState.RUNNING
    assert house.store.progress(second).state is JobState.QUEUED
    house.store.cancel(training)
    house.wait_for(second, JobState.DONE)


def test_a_training_stands_still_while_there_are_pictures(house: House) -> None:
    training = house.submit_training(steps=LONG)
    house.work(step_seconds=0.002, training_yields=True)
    wait_for_steps(house, training)
    picture = house.submit(steps=LONG)
    wait_for_steps(house, picture)
    before = steps_of(house, training)[-1]
    drawn = steps_of(house, picture)[-1]
    wait_until(lambda: steps_of(house, picture)[-1] > drawn + 20, 20)
    assert steps_of(house, training)[-1] == before
    house.store.cancel(picture)
    wait_until(lambda: steps_of(house, training)[-1] > before, 20)


def test_a_training_has_a_time_limit_of_its_own(house: House) -> None:
    long = house.submit_training(steps=5)
    house.work(step_seconds=0.03, job_timeout=0.05)
    house.wait_for(long, JobState.DONE)
    assert house.store.progress(long).attempts == 1


def test_a_training_that_hangs_is_ended_by_its_time_limit_and_says_so(house: House) -> None:
    hanging = house.submit_training(instance_prompt="hang")
    house.work(training_timeout=0.2)
    house.wait_for(hanging, JobState.FAILED)
    failure = house.store.progress(hanging).failure
    assert failure is not None
    assert "0.2 seconds (TRAINING_TIMEOUT)" in failure.sentence


def test_the_time_of_a_training_stands_still_while_it_waits(ruins: House) -> None:
    picture, training = ruins.submit(steps=110), ruins.submit_training(steps=1)
    ruins.work(step_seconds=0.02, capacity=2, training_timeout=2)
    ruins.wait_for(training, JobState.DONE)
    assert ruins.store.progress(training).attempts == 1
    assert ruins.store.progress(picture).state is JobState.DONE


def test_a_training_goes_on_after_its_time_limit(house: House) -> None:
    training = house.submit_training(steps=LONG)
    house.work(step_seconds=0.01, training_timeout=1)
    wait_until(lambda: house.store.progress(training).attempts == 2, 20)
    made = max(steps_of(house, training))
    began = house.store.progress(training).number
    wait_until(lambda: steps_of(house, training, after=began), 20)
    assert min(steps_of(house, training, after=began)) > made


def test_a_running_training_stops_when_it_is_cancelled_and_leaves_nothing(house: House) -> None:
    job_id = house.submit_training(steps=LONG)
    house.work(step_seconds=0.001)
    wait_for_steps(house, job_id)
    assert house.trainings.kept() == {"a-dog"}
    house.store.cancel(job_id)
    house.wait_for(job_id, JobState.CANCELLED)
    wait_until(lambda: house.trainings.kept() == set(), 5)
    assert not house.lora().exists()


def test_a_training_that_fails_leaves_nothing(house: House) -> None:
    job_id = house.submit_training(instance_prompt="#fail@3")
    house.work()
    house.wait_for(job_id, JobState.FAILED)
    wait_until(lambda: house.trainings.kept() == set(), 5)


def test_a_training_is_not_to_blame_for_the_picture_that_it_waits_for(house: House) -> None:
    picture, training = house.submit(prompt="die"), house.submit_training(steps=3)
    house.work(capacity=2)
    house.wait_for(picture, JobState.FAILED)
    house.wait_for(training, JobState.DONE)
    assert house.store.progress(training).crashes == 0


def test_a_training_under_which_the_engine_dies_runs_three_times(house: House) -> None:
    job_id = house.submit_training(instance_prompt="die")
    house.work()
    house.wait_for(job_id, JobState.FAILED)
    assert house.store.progress(job_id).attempts == 3
    house.wait_for(house.submit(), JobState.DONE)


def test_a_training_that_a_stop_gave_back_goes_on_where_it_was(ruins: House) -> None:
    job_id = ruins.submit_training(steps=LONG)
    first = ruins.work(step_seconds=0.001)
    wait_for_steps(ruins, job_id)
    made = steps_of(ruins, job_id)[-1]
    first.stop()
    first.join(5)
    progress = ruins.store.progress(job_id)
    assert (progress.state, progress.attempts) == (JobState.QUEUED, 0)
    ruins.work(step_seconds=0.001)
    wait_until(lambda: steps_of(ruins, job_id, after=progress.number), 20)
    assert min(steps_of(ruins, job_id, after=progress.number)) > made


def test_a_worker_that_died_before_it_told_of_its_lora_leads_to_the_same_one(ruins: House) -> None:
    job_id = ruins.submit_training(steps=5)
    first = ruins.work()
    ruins.wait_for(job_id, JobState.DONE)
    first.stop()
    first.join(5)
    made = short_hash(ruins.lora())
    again = ruins.submit_training(steps=5)
    claim = ruins.store.claim()
    assert claim is not None
    claim.record(Started(1, "gone"))
    claim.release()
    ruins.work()
    ruins.wait_for(again, JobState.DONE)
    assert ruins.store.progress(again).interruptions == 1
    assert short_hash(ruins.lora()) == made


def test_a_lora_that_finds_no_room_is_kept_until_there_is_some(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusionapi.worker.worker._RETRY", 0.01)
    put, tries = house.trainings.put, []

    def full_twice(name: str, content: bytes) -> None:
        tries.append(name)
        if len(tries) < 3:
            raise StorageFull("No space left")
        put(name, content)

    monkeypatch.setattr(house.trainings, "put", full_twice)
    job_id = house.submit_training()
    house.work()
    house.wait_for(job_id, JobState.DONE)
    assert len(tries) == 3
    assert house.lora().is_file()


def test_a_lora_that_nobody_may_put_in_its_folder_ends_its_training_in_an_error(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise StorageRefused("LORAS_DIR", "Read-only file system")

    monkeypatch.setattr(house.trainings, "put", closed)
    job_id = house.submit_training()
    house.work()
    house.wait_for(job_id, JobState.FAILED)
    failure = house.store.progress(job_id).failure
    assert failure is not None
    assert failure.sentence == "Cannot use LORAS_DIR: Read-only file system"
    house.wait_for(house.submit(), JobState.DONE)


def begin_waiting(house: House, monkeypatch: pytest.MonkeyPatch, kind: str, **rules: Any) -> str:
    """A job whose picture, or LoRA, finds no room."""
    tried = threading.Event()

    def full(*_: object) -> None:
        tried.set()
        raise StorageFull("No space left")

    monkeypatch.setattr("diffusionapi.worker.worker._RETRY", 0.01)
    monkeypatch.setattr(house.trainings, "put", full)
    monkeypatch.setattr(house.blobs, "put", full)
    job_id = house.submit() if kind == "picture" else house.submit_training(steps=3)
    house.work(**rules)
    assert tried.wait(20)
    return job_id


@pytest.mark.parametrize("kind", ["picture", "training"])
def test_a_job_that_waits_for_room_can_be_cancelled(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    job_id = begin_waiting(house, monkeypatch, kind, job_timeout=0.1)
    house.store.cancel(job_id)
    house.wait_for(job_id, JobState.CANCELLED)
    wait_until(lambda: house.trainings.kept() == set(), 5)
    wait_until(lambda: house.spool.find(job_id) is None, 5)


def test_a_lora_is_not_waited_for_longer_than_its_training_may_take(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = begin_waiting(house, monkeypatch, "training", training_timeout=0.5)
    house.wait_for(job_id, JobState.FAILED)
    progress = house.store.progress(job_id)
    assert progress.failure is not None
    assert "within 0.5 seconds (TRAINING_TIMEOUT): No space left" in progress.failure.sentence
    assert progress.attempts == 1


@pytest.mark.parametrize("kind", ["picture", "training"])
def test_what_finds_no_room_before_a_stop_is_not_said_to_be_there(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    tried = threading.Event()

    def full(*_: object) -> None:
        tried.set()
        raise StorageFull("No space left")

    monkeypatch.setattr(house.trainings, "put", full)
    monkeypatch.setattr(house.blobs, "put", full)
    job_id = house.submit() if kind == "picture" else house.submit_training()
    worker = house.work()
    assert tried.wait(20)
    worker.stop()
    worker.join(5)
    progress = house.store.progress(job_id)
    assert (progress.state, progress.attempts) == (JobState.QUEUED, 0)
