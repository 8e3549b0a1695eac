"""A client that a program has made of our OpenAPI document makes, watches and takes back pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tell = Callable[[str], None]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GENERATOR = "openapi-python-client==0.29.1"
PICTURES = (
    "content_type_overrides: {image/jpeg: application/octet-stream, image/png: application/octet-stream}"
)
"""The generator's way to be told that these are files."""

PRIMARY = """
import base64, sys, time
from ours import Client
from ours.api.primary import cancel_job, img2img, picture, queue_status, txt2img
from ours.models import FinishedStatus, Img2ImgRequest, QueueStatus, Txt2ImgRequest, UnknownJobResponse
from ours.models import ErrorResponse, Txt2ImgRequestFiletype

with Client(base_url=sys.argv[1], raise_on_unexpected_status=True) as client:
    def end(job):
        while isinstance(found := queue_status.sync(job, client=client, wait=5.0), QueueStatus):
            if found.state == "error":
                return found
        return found

    request = Txt2ImgRequest(prompt="a lighthouse", steps=3, seed=7, file_type=Txt2ImgRequestFiletype.PNG)
    made = end(txt2img.sync(client=client, body=request, idempotency_key="one").job_id)
    assert isinstance(made, FinishedStatus), made
    assert made.payload["prompt"] == "a lighthouse" and made.seed == 7
    assert made.sampling.steps == 3 and made.sampling.notices == [], made.sampling
    file = picture.sync(f"{made.job_id}.png", client=client).payload.read()
    assert file == base64.b64decode(made.image)
    assert isinstance(queue_status.sync(made.job_id, client=client), UnknownJobResponse)

    request = Img2ImgRequest(prompt="a storm", image=made.image, steps=3)
    made = end(img2img.sync(client=client, body=request).job_id)
    assert isinstance(made, FinishedStatus), made
    assert made.sampling.notices == [], made.sampling

    job = txt2img.sync(client=client, body=Txt2ImgRequest(prompt="a lighthouse", steps=1000)).job_id
    assert cancel_job.sync(job, client=client).state in ("cancelled", "cancelling")
    assert end(job).current_phase == "cancelled"

    refused = txt2img.sync(client=client, body=Txt2ImgRequest(prompt="a lighthouse", steps=0))
    assert isinstance(refused, ErrorResponse) and refused.error.startswith("steps: "), refused
"""

TASKS = """
import io, sys, time
from ours import AuthenticatedClient, Client
from ours.api.tasks import create_blob, create_task, create_token, create_user, delete_task, get_blob
from ours.api.tasks import get_task
from ours.models import AbortedEvent, FinishedEvent, PendingEvent, Refused, StartedEvent
from ours.models import BodyCreateBlob, BodyCreateToken, CreateUserJsonBody, Invalid
from ours.models import Img2ImgParams, Txt2ImgParams
from ours.types import File

def end(task):
    while isinstance(event := get_task.sync(task, client=client), PendingEvent | StartedEvent):
        time.sleep(0.05)
    return event

def picture(url):
    return get_blob.sync(url.rpartition("/")[2], client=client).payload.read()

with Client(base_url=sys.argv[1], raise_on_unexpected_status=True) as anybody:
    credentials = {"username": "bob", "password": "correct horse battery staple"}
    assert create_user.sync(client=anybody, body=CreateUserJsonBody(**credentials)).username == "bob"
    token = create_token.sync(client=anybody, body=BodyCreateToken(**credentials)).access_token

bad = AuthenticatedClient(base_url=sys.argv[1], token="x")
assert isinstance(create_task.sync(client=bad, body=Txt2ImgParams(prompt="a corgi")), Refused)

with AuthenticatedClient(base_url=sys.argv[1], token=token, raise_on_unexpected_status=True) as client:
    event = end(create_task.sync(client=client, body=Txt2ImgParams(prompt="a corgi", steps=3, seed=7)))
    assert isinstance(event, FinishedEvent), event
    assert event.result.parameters_used.seed == 7
    made = picture(event.result.blob_url)

    url = create_blob.sync(client=client, body=BodyCreateBlob(blob_data=File(io.BytesIO(made), "corgi.png")))
    params = Img2ImgParams(prompt="a cat", initial_image=url, steps=3)
    event = end(create_task.sync(client=client, body=params))
    assert isinstance(event, FinishedEvent), event
    assert picture(event.result.blob_url) != made

    task = create_task.sync(client=client, body=Txt2ImgParams(prompt="a corgi", steps=1000))
    delete_task.sync_detailed(task, client=client)
    event = end(task)
    assert isinstance(event, AbortedEvent) and event.reason == "Task cancelled by user", event

    refused = create_task.sync(client=client, body=Txt2ImgParams(prompt="a corgi", steps=0))
    assert isinstance(refused, Invalid) and refused.detail[0].loc[-1] == "steps", refused
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server]]:
    """The Python that has the generator, and the server; its folder has the package `ours`."""
    folder = tmp_path_factory.mktemp("generated")
    python = _environment(folder / "environment")
    (folder / "config.yaml").write_text(PICTURES)
    with Server(folder, fake_step_seconds=0.005, enable_signup=1) as server:
        done = subprocess.run(
            [
                *(python, "-m", "openapi_python_client", "generate", "--url", f"{server.url}/openapi.json"),
                *("--meta", "none", "--config", "config.yaml", "--output-path", "ours", "--fail-on-warning"),
            ],
            cwd=folder,
            env=os.environ | {"PATH": f"{python.parent}:{os.environ['PATH']}"},  # it calls ruff
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield python, server


def _environment(folder: Path) -> Path:
    """One of its own: what the generator needs is not what we need. A laptop may be offline, CI may not."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1", GENERATOR],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"{GENERATOR} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return python


@pytest.fixture
def tell(generated: tuple[Path, Server]) -> Tell:
    """Runs a program with the generated client and the server's address."""
    python, server = generated

    def run(program: str) -> None:
        done = subprocess.run(
            [python, "-c", program, server.url],
            cwd=server.data_dir,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr

    return run


def test_it_makes_finds_and_takes_back_pictures_of_the_primary_api(tell: Tell) -> None:
    tell(PRIMARY)


def test_it_makes_finds_and_takes_back_pictures_of_the_task_api(tell: Tell) -> None:
    tell(TASKS)
