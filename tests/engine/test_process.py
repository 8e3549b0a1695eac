"""The engine in a child process: the same interface, and every way the child can go."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
import pytest
import torch
from PIL import Image

from diffusionapi.blobs.folder import FolderUploads
from diffusionapi.core.events import Cancelled, Phase, Preview, Step
from diffusionapi.engine.build import BUILD
from diffusionapi.engine.engine import ENDS, Rendered, Taught
from diffusionapi.engine.process import ProcessEngine
from diffusionapi.errors import EngineDied
from tests.factories import a_request, a_training, an_upscaling
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.core.work import Work
    from diffusionapi.engine.engine import Happening
    from diffusionapi.settings import Settings


@pytest.fixture
def engine(settings: Settings) -> Iterator[ProcessEngine]:
    with closing(ProcessEngine(BUILD, settings.model_copy(update={"max_batch": 3}))) as engine:
        yield engine


def until_ended(engine: ProcessEngine) -> list[Happening]:
    happened: list[Happening] = []
    while not happened or not isinstance(happened[-1][1], ENDS):
        happened += engine.step(10)
    return happened


def test_it_renders_like_an_engine_in_this_process(engine: ProcessEngine) -> None:
    engine.admit("a", a_request())
    happened = until_ended(engine)
    assert {job_id for job_id, _ in happened} == {"a"}
    assert isinstance(happened[0][1], Phase)
    assert isinstance(happened[-1][1], Rendered)


def test_work_of_every_kind_comes_to_its_end_and_the_child_waits_for_more(
    engine: ProcessEngine, settings: Settings
) -> None:
    photo = FolderUploads(settings.path(settings.uploads_dir)).put(_png())
    works: tuple[Work, ...] = (a_training(pictures=(photo,)), an_upscaling(upload=photo), a_request())
    ends = []
    for number, work in enumerate(works):
        engine.admit(str(number), work)
        ends.append(until_ended(engine)[-1][1])
    assert [type(one) for one in ends] == [Taught, Rendered, Rendered]


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_previews_come_from_the_child_when_they_are_asked_for(settings: Settings) -> None:
    slow = settings.model_copy(update={"fake_step_seconds": 0.05, "max_batch": 2})
    with closing(ProcessEngine(BUILD, slow)) as engine:
        for job_id in ("a", "b"):
            engine.admit(job_id, a_request(steps=8))
        engine.preview("a", True)
        happened = until_ended(engine)
    previews = [(job_id, event) for job_id, event in happened if isinstance(event, Preview)]
    assert len(previews) >= 2
    assert {job_id for job_id, _ in previews} == {"a"}


def test_an_owner_that_does_not_listen_holds_up_no_step(settings: Settings) -> None:
    """It comes to its end, and to ours, though its previews are more than a pipe holds."""
    large = a_request(width=1024, height=1024, steps=80, prompt="#crash@80")
    with closing(ProcessEngine(BUILD, settings.model_copy(update={"fake_step_seconds": 0.02}))) as engine:
        engine.admit("a", large)
        engine.preview("a", True)
        child = psutil.Process(engine.pid)
        wait_until(lambda: child.status() == psutil.STATUS_ZOMBIE, 20)


@pytest.mark.parametrize(
    ("said", "spins"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_its_threads_soon_leave_their_cores_to_others_unless_the_operator_says_otherwise(
    said: dict[str, str], spins: str | None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with closing(ProcessEngine(BUILD, settings)) as engine:
        found = psutil.Process(engine.pid).environ()
    assert found.get("GOMP_SPINCOUNT") == spins
    assert found["HF_HUB_OFFLINE"] == "1"


def test_it_tells_how_much_room_it_has(engine: ProcessEngine) -> None:
    assert engine.capacity == 3


def test_a_step_in_which_nothing_happens_ends_in_time(engine: ProcessEngine) -> None:
    assert engine.step(0.01) == []


def test_a_cancel_takes_effect_within_a_step(settings: Settings) -> None:
    slow = settings.model_copy(update={"fake_step_seconds": 0.1})
    with closing(ProcessEngine(BUILD, slow)) as engine:
        engine.admit("a", a_request(steps=1000))
        before = engine.step(10)
        engine.cancel("a")
        after = until_ended(engine)
    assert before
    assert after[-1] == ("a", Cancelled())
    assert sum(isinstance(event, Step) for _, event in after) <= 2


@pytest.mark.parametrize(
    ("prompt", "story"),
    [("#crash@2", "killed .SIGKILL."), ("#memory@2", "ran out of memory")],
)
def test_a_death_says_how(engine: ProcessEngine, prompt: str, story: str) -> None:
    engine.admit("a", a_request(prompt=prompt))
    with pytest.raises(EngineDied, match=story):
        until_ended(engine)


def test_a_death_while_idle_is_noticed_by_the_next_step(engine: ProcessEngine) -> None:
    os.kill(engine.pid, signal.SIGTERM)
    with pytest.raises(EngineDied, match="SIGTERM"):
        engine.step(10)


def test_closing_ends_a_child_that_hangs(settings: Settings) -> None:
    engine = ProcessEngine(BUILD, settings)
    engine.admit("a", a_request(prompt="#hang@2"))
    while not any(isinstance(event, Step) for _, event in engine.step(10)):
        pass
    child = psutil.Process(engine.pid)
    engine.close()
    assert not child.is_running()


def test_no_child_outlives_a_killed_owner_even_when_it_hangs() -> None:
    program = (
        "from diffusionapi.engine.process import ProcessEngine\n"
        "from diffusionapi.engine.build import BUILD\n"
        "from diffusionapi.settings import Settings\n"
        "from tests.factories import a_request\n"
        "engine = ProcessEngine(BUILD, Settings())\n"
        "engine.admit('a', a_request(prompt='#hang@1'))\n"
        "engine.step(10)\n"
        "print(engine.pid, flush=True)\n"
        "input()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        child = psutil.Process(int(owner.stdout.readline()))
        assert child.is_running()
        owner.kill()
        owner.wait()
        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)


def test_an_engine_that_cannot_be_built_is_a_death_that_says_why_and_shows_no_trace(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EngineDied, match=r"^AttributeError: .*'no_such_function'$"):
        ProcessEngine("diffusionapi.engine.build:no_such_function", settings)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said_by_its_setting(settings: Settings) -> None:
    with pytest.raises(EngineDied, match=r"^Setting DEVICE: 'cuda:0', but torch finds no CUDA device$"):
        ProcessEngine(BUILD, settings.model_copy(update={"engine": "diffusers", "device": "cuda:0"}))
