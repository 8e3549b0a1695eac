"""The real engine behind the socket: a miniature model draws the largest picture and shows it on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.api.stream.client import KEY, SMALL, Client, listen, picture
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, sdxl_folder: Path) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("studio")
    models = root / "stable_diffusion" / "models"
    models.mkdir(parents=True)
    (models / "mini-sdxl").symlink_to(sdxl_folder)
    # It waits for the engine to start, which takes as long as torch takes to load.
    with Server(
        root, api_keys=KEY, device="cpu", precision="fp32", stream_max_wait=200, stream_timeout=400
    ) as server:
        yield server


def test_steps_are_told_one_by_one_with_previews(studio: Server) -> None:
    client = Client(studio)
    client.ask(steps=8)  # how this model's latents become colours is found out at its first preview
    story = client.ask(steps=12)
    assert (story.end, story.steps) == ((1000, 200), list(range(1, 13)))
    *before, last = story.frames
    shown = [picture(one) for one in before if one["image"]]
    assert shown
    assert {(one.format, one.size) for one in shown} == {("JPEG", (256, 256))}
    assert (picture(last).format, picture(last).size) == ("PNG", (256, 256))
    assert "Sampler: DPM++ 2M Karras" in picture(last).info["parameters"]


@pytest.mark.long
def test_the_largest_picture(studio: Server) -> None:
    request = SMALL | {"image_size": [2048, 2048], "steps": 2, "guidance_scale": 1}
    with Client(studio).connection(ping_interval=None) as socket:
        socket.send(json.dumps(request))
        story = listen(socket, timeout=400)
    assert (story.end, story.steps) == ((1000, 200), [1, 2])
    assert picture(story.frames[-1]).size == (2048, 2048)
