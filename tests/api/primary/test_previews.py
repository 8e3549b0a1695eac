"""What a picture looks like while it is drawn: `?preview=1` of the status and of the feed."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
from PIL import Image

from tests.api.primary.test_queue import RUNNING_KEYS
from tests.server import Server, wait_until

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


def cancel(server: Server, job_id: str) -> None:
    httpx.delete(f"{server.url}/queue/{job_id}")


def test_a_poll_that_asks_gets_a_jpeg_of_the_pictures_size(server: Server) -> None:
    job_id = server.submit(steps=1000, width=128, height=96, hires={"enabled": True, "scale": 2})
    seen: dict[str, Any] = {}

    def previewed() -> bool:
        seen.update(server.get(f"/queue/{job_id}", params={"preview": 1}).json())
        return seen["preview"] is not None

    wait_until(previewed, 20, server.log)
    assert list(seen) == [*RUNNING_KEYS, "preview"]
    picture = Image.open(io.BytesIO(base64.b64decode(seen["preview"])))
    assert (picture.format, picture.size) == ("JPEG", (256, 192))
    assert list(server.status(job_id)) == RUNNING_KEYS
    cancel(server, job_id)


def test_a_waiting_job_has_none_and_only_those_who_ask_are_told(idle_client: TestClient) -> None:
    job_id = idle_client.post("/txt2img", json={"prompt": "x"}).json()["job_id"]
    plain = idle_client.get(f"/queue/{job_id}")
    asked = idle_client.get(f"/queue/{job_id}", params={"preview": 1}).json()
    assert asked.pop("preview", "absent") is None
    assert asked == plain.json()
    assert idle_client.get(f"/queue/{job_id}", params={"preview": 0}).content == plain.content


def feed(server: Server, job_id: str, **params: int) -> list[tuple[str, dict[str, Any], bool]]:
    """Name and data of each event, and whether it has an id."""
    told, fields = [], dict[str, str]()
    url = f"{server.url}/queue/{job_id}/events"
    with httpx.stream("GET", url, params=params, timeout=30) as answer:
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                told.append((fields["event"], json.loads(fields["data"]), "id" in fields))
                fields = {}
    return told


def test_a_feed_that_asks_shows_the_picture_come(server: Server) -> None:
    told = feed(server, server.submit(steps=200, width=64, height=64), preview=1)
    previews = [data for name, data, _ in told if name == "preview"]
    assert len(previews) >= 3
    assert [one["step"] for one in previews] == sorted({one["step"] for one in previews})
    for one in previews:
        picture = Image.open(io.BytesIO(base64.b64decode(one["image"])))
        assert picture.size == (one["width"], one["height"]) == (64, 64)
        assert one["steps"] == 200
    assert not any(numbered for name, _, numbered in told if name == "preview")
    assert told[-1][0] == "finished"


def test_other_feeds_are_as_they_were(server: Server) -> None:
    told = feed(server, server.submit(steps=5))
    assert {name for name, _, _ in told} <= {"queued", "started", "phase", "step", "finished"}
    assert all(numbered for _, _, numbered in told)
