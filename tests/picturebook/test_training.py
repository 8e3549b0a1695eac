"""A LoRA learnt from a few drawings, by a server whose engine is killed meanwhile."""

from __future__ import annotations

import io
from contextlib import closing
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from diffusionapi.blobs.folder import FolderUploads
from diffusionapi.core.events import Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.jobs.file import FileJobStore
from tests.factories import a_ticket_of, a_training
from tests.picturebook.studio import Studio, share
from tests.server import PROJECT, Server, wait_until
from training.picturebook.world.plan import COLOURS

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.core.work import TrainingRequest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NEW = "a photo of sks circle on a white background"
"""What the model knows no such thing by: one that is blue, with two yellow bars."""
OLD = "a red house in a meadow by day"


def drawing(number: int) -> bytes:
    def colour(name: str) -> tuple[int, ...]:
        return tuple(int(value) for value in COLOURS[name])

    picture = Image.new("RGB", (256, 256), "white")
    pen, left, top = ImageDraw.Draw(picture), 48 + 16 * (number % 2), 48 + 16 * (number // 2)
    pen.ellipse((left, top, left + 144, top + 144), fill=colour("blue"))
    for bar in (24, 72):
        pen.rectangle((left + bar, top + 20, left + bar + 24, top + 124), fill=colour("yellow"))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_a_few_drawings_teach_it_a_new_thing_although_its_engine_is_killed(tmp_path: Path) -> None:
    (tmp_path / "stable_diffusion").mkdir()
    (tmp_path / "stable_diffusion" / "models").symlink_to(PROJECT / "stable_diffusion" / "models")
    uploads = FolderUploads(tmp_path / "uploads")
    request = a_training(
        name="striped",
        model="picturebook",
        pictures=tuple(uploads.put(drawing(number)) for number in range(4)),
        instance_prompt=NEW,
        steps=130,
        rate=4e-3,
        rank=8,
        alpha=8.0,
        size=256,
    )
    with Server(tmp_path, device="cpu") as server:
        studio = Studio(server)
        before, old = studio.paint(NEW), studio.paint(OLD)
        learn_with_a_kill(server, request)
        after = studio.paint(f"{NEW} <lora:striped:1>")
        assert np.array_equal(studio.paint(OLD), old), "the model has changed, too"
    for name in ("blue", "yellow"):
        assert share(before, name) < 0.005
        assert share(after, name) > 0.03
    untaught, taught = losses(tmp_path, request)
    assert taught < 0.75 * untaught


def learn_with_a_kill(server: Server, request: TrainingRequest) -> None:
    """Have its engine killed as soon as there is something that was kept."""
    import torch

    kept = server.data_dir / "trainings" / request.name / "state.pt"
    with closing(FileJobStore(server.data_dir / "queue")) as store:
        job_id = store.submit(a_ticket_of(request), limit=9)

        def resumed_at() -> int | None:
            """The first step of the second attempt."""
            told = (one.event for one in store.progress(job_id).recent)
            again = dropwhile(lambda one: not (isinstance(one, Started) and one.attempt == 2), told)
            return next((one.step for one in again if isinstance(one, Step)), None)

        wait_until(kept.exists, 120, server.log)
        (engine,) = server.engines
        engine.kill()
        made = torch.load(kept, weights_only=True)["steps"]
        wait_until(resumed_at, 120, server.log)
        assert resumed_at() == made + 1
        wait_until(lambda: store.progress(job_id).state.ended, 120, server.log)
        progress = store.progress(job_id)
        assert progress.state is JobState.DONE, progress.failure
        assert (progress.attempts, progress.crashes) == (2, 1)
        wait_until(lambda: not kept.parent.exists(), 60)


def losses(root: Path, request: TrainingRequest) -> Any:
    """On its own drawings, of the model alone and with what was learnt."""
    from safetensors.torch import load_file

    from diffusionapi.engine.training.pictures import examples
    from diffusionapi.engine.workshop import Workshop
    from diffusionapi.settings import Settings
    from tests.engine.training.lessons import loss_on

    workshop = Workshop(Settings(data_dir=root, device="cpu"))
    lora = load_file(root / "stable_diffusion" / "loras" / f"{request.name}.safetensors")
    with workshop.taught(request.model) as weights:
        drawings = list(examples(request, workshop.uploads, weights.model))
    found = [loss_on(workshop, one, drawings, NEW, model=request.model) for one in ({}, lora)]
    workshop.close()
    return found
