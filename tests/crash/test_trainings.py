"""Trainings in real servers that are killed: none is lost, and no LoRA is ever half of one."""

from __future__ import annotations

import io
import random
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from diffusionapi.blobs.folder import FolderUploads
from diffusionapi.core.events import Step
from diffusionapi.core.job import JobState
from diffusionapi.jobs.file import FileJobStore
from diffusionapi.weights import trained
from tests.factories import a_request, a_ticket_of, a_training, an_upscaling
from tests.server import Server, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.core.work import Work


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileJobStore]:
    """The server's own folder of jobs."""
    with closing(FileJobStore(tmp_path / "queue")) as store:
        yield store


@pytest.fixture
def photo(tmp_path: Path) -> str:
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "PNG")
    return FolderUploads(tmp_path / "uploads").put(buffer.getvalue())


def loras(tmp_path: Path) -> dict[str, str]:
    """The instance prompts of all LoRAs; each has to be whole."""
    found = {}
    for path in (tmp_path / "stable_diffusion" / "loras").glob("[!.]*"):
        said = trained.read(path)
        assert said is not None
        found[path.stem] = said.instance_prompt
    return found


def steps_of(store: FileJobStore, job_id: str) -> list[int]:
    return [one.event.step for one in store.progress(job_id).recent if isinstance(one.event, Step)]


def wait_for_end(store: FileJobStore, job_id: str) -> JobState:
    wait_until(lambda: store.progress(job_id).state.ended, 120, lambda: store.progress(job_id))
    return store.progress(job_id).state


def test_a_training_whose_engine_is_killed_goes_on_where_it_was(
    tmp_path: Path, store: FileJobStore, photo: str
) -> None:
    with Server(tmp_path, fake_step_seconds=0.01) as server:
        job_id = store.submit(a_ticket_of(a_training(pictures=(photo,), steps=200)), limit=9)
        made = 0
        for _ in range(2):
            wait_until(lambda made=made: max(steps_of(store, job_id), default=0) > made + 10, 60, server.log)
            (engine,) = server.engines
            made = max(steps_of(store, job_id))
            engine.kill()
            wait_until(lambda killed=engine: server.engines and server.engines[0] != killed, 60)
        assert wait_for_end(store, job_id) is JobState.DONE
        progress = store.progress(job_id)
        assert (progress.attempts, progress.crashes, progress.interruptions) == (3, 2, 0)
        assert loras(tmp_path) == {"a-dog": "a photo of sks dog"}
        assert len([one for one in progress.recent if isinstance(one.event, Step)]) < 200 - made + 1


@pytest.mark.timeout(300)
def test_jobs_of_all_kinds_survive_kills_of_the_server_at_random_moments(
    tmp_path: Path, store: FileJobStore, photo: str
) -> None:
    dice = random.Random(2)  # noqa: S311 - moments, not secrets
    names = [f"lora-{number}" for number in range(4)]
    jobs: list[str] = []
    with Server(tmp_path, fake_step_seconds=0.01) as server:
        for name in names:
            training = a_training(name=name, instance_prompt=name, pictures=(photo,), steps=40)
            works: list[Work] = [training, a_request(steps=5), an_upscaling(upload=photo)]
            new = [store.submit(a_ticket_of(work), limit=99) for work in works]
            jobs += new
            wait_until(lambda job_id=new[0]: store.progress(job_id).attempts, 60, server.log)
            time.sleep(dice.uniform(0, 0.8))
            server.kill()
            assert loras(tmp_path).items() <= {name: name for name in names}.items()
            server.start()
        for job_id in jobs:
            assert wait_for_end(store, job_id) is JobState.DONE, store.progress(job_id)
        assert loras(tmp_path) == {name: name for name in names}
        wait_until(lambda: not list((tmp_path / "trainings").iterdir()), 60)
        assert not list((tmp_path / "stable_diffusion" / "loras").glob(".*"))
        assert len(list((tmp_path / "outputs").glob("[!.]*"))) == 2 * len(names)
        assert "its worker vanished; running it again" in server.log()
