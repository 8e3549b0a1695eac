"""A store, folders and a worker, with an engine in this process that does what the test says."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

from PIL import Image

from diffusionapi.blobs.folder import FolderBlobs
from diffusionapi.blobs.spool import Spool
from diffusionapi.blobs.trainings import Trainings
from diffusionapi.core.request import GenerationRequest
from diffusionapi.core.work import TrainingRequest, UpscaleRequest
from diffusionapi.engine.fake.engine import FakeEngine
from diffusionapi.engine.fake.props import Props
from diffusionapi.errors import EngineDied
from diffusionapi.worker.figures import Figures
from diffusionapi.worker.run import Rules
from diffusionapi.worker.worker import Worker
from tests.factories import a_ticket, a_ticket_of, a_training, settings_in
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from diffusionapi.core.job import JobState
    from diffusionapi.core.work import Work
    from diffusionapi.engine.engine import Engine, Happening
    from diffusionapi.jobs.store import JobStore


class Scripted(FakeEngine):
    """A fake engine that dies, or goes silent, for jobs of certain prompts."""

    def __init__(self, props: Props, *, capacity: int = 1, step_seconds: float = 0.0) -> None:
        super().__init__(props, capacity=capacity, step_seconds=step_seconds)
        self.doomed = False
        self.silent = False
        self.closed = False

    def admit(self, job_id: str, work: Work) -> None:
        match work:
            case GenerationRequest():
                prompt = work.prompt
            case TrainingRequest():
                prompt = work.instance_prompt
            case UpscaleRequest():
                prompt = ""
        self.doomed |= "die" in prompt
        self.silent |= "hang" in prompt
        super().admit(job_id, work)

    def step(self, timeout: float) -> list[Happening]:
        if self.doomed:
            raise EngineDied("it was told to die")
        if self.silent:
            threading.Event().wait(timeout)
            return []
        return super().step(timeout)

    def close(self) -> None:
        self.closed = True
        super().close()


class House:
    """A store, a folder for pictures and one worker."""

    def __init__(self, tmp_path: Path, store: JobStore) -> None:
        settings = settings_in(tmp_path)
        self.store = store
        self.blobs = FolderBlobs(tmp_path / "outputs")
        self.trainings = Trainings(settings)
        self.spool = Spool(tmp_path / "spool")
        self.loras = settings.path(settings.loras_dir)
        self.props = Props.of(settings)
        self.engines: list[Scripted] = []
        self.figures = Figures()
        self.worker: Worker | None = None

    def work(
        self,
        *,
        job_timeout: float = 60,
        training_timeout: float = 60,
        training_yields: bool = False,
        stay: int = 16,
        start: Callable[[], Engine] | None = None,
        **engine: float,
    ) -> Worker:
        def make() -> Engine:
            self.engines.append(Scripted(self.props, **engine))  # type: ignore[arg-type]
            return self.engines[-1]

        rules = Rules(job_timeout, training_timeout, training_yields, stay)
        self.worker = Worker(
            "w",
            self.store,
            self.blobs,
            self.trainings,
            start or make,
            rules,
            spool=self.spool,
            figures=self.figures,
        )
        self.worker.start()
        return self.worker

    def submit(self, **fields: Any) -> str:
        return self.store.submit(a_ticket(**fields), limit=100)

    def submit_work(self, work: Work) -> str:
        return self.store.submit(a_ticket_of(work), limit=100)

    def submit_training(self, name: str = "a-dog", **fields: Any) -> str:
        return self.submit_work(a_training(name=name, pictures=(self.upload(),), **fields))

    def lora(self, name: str = "a-dog") -> Path:
        return self.loras / f"{name}.safetensors"

    def upload(self, width: int = 48, height: int = 32) -> str:
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((width, height)).convert("RGB").save(buffer, "PNG")
        return self.props.uploads.put(buffer.getvalue())

    def wait_for(self, job_id: str, state: JobState) -> None:
        wait_until(
            lambda: self.store.progress(job_id).state is state, 20, lambda: self.store.progress(job_id)
        )

    def stop(self) -> None:
        if self.worker is not None:
            self.worker.stop()
            self.worker.join(10)
            assert not self.worker.is_alive()
        self.store.close()
