"""A server and its engine process whose pictures and uploads lie in a bucket, or in Redis: clients see no
difference, and nothing comes onto the disk."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from diffusionapi.main import create_app
from diffusionapi.settings import Settings
from tests.blobs.conftest import in_bucket
from tests.blobs.s3_server import BUCKET
from tests.factories import settings_in
from tests.server import WEB

if TYPE_CHECKING:
    from pathlib import Path

    from tests.blobs.s3_server import S3Server
    from tests.redis_server import RedisServer


def settings_on(tmp_path: Path, *places: Settings) -> Settings:
    """The tests' settings with what others say of places."""
    said = {name: value for one in places for name, value in one if name in one.model_fields_set}
    return settings_in(tmp_path).model_copy(update=said)


@pytest.fixture(params=["s3", "redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "s3":
        return settings_on(tmp_path, in_bucket(request.getfixturevalue("s3")))
    server: RedisServer = request.getfixturevalue("redis_server")
    return settings_on(tmp_path, Settings(job_store=server.url, blobs="redis:"))


def made(client: TestClient, path: str = "/txt2img", **fields: Any) -> dict[str, Any]:
    body = {"prompt": "x", "steps": 1, "fileType": "png", "width": 64, "height": 64, **fields}
    if path != "/txt2img":
        del body["width"], body["height"]
    answer = client.post(path, json=body)
    assert answer.status_code < 300, answer.text
    finished: dict[str, Any] = client.get(f"/queue/{answer.json()['job_id']}", params={"wait": 30}).json()
    assert finished["state"] == "done", finished
    return finished


def test_pictures_are_made_of_pictures_and_fetched(settings: Settings, tmp_path: Path) -> None:
    with TestClient(create_app(settings)) as client:
        first = made(client)
        name = f"{first['job_id']}.png"
        url = f"http://testserver/images/{name}"
        again = made(client, "/img2img", image=url, resize_by=1, denoising_strength=0)
        pictures = [Image.open(io.BytesIO(base64.b64decode(one["image"]))) for one in (first, again)]
        assert pictures[0].tobytes() == pictures[1].tobytes()
        whole = client.get(f"/images/{name}")
        assert base64.b64encode(whole.content).decode() == first["image"]
        assert whole.headers["content-type"] == "image/png"
        part = client.get(f"/images/{name}", headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        etag = whole.headers["etag"]
        assert client.get(f"/images/{name}", headers={"If-None-Match": etag}).status_code == 304
        assert client.head(f"/images/{name}").headers["content-length"] == str(len(whole.content))
        assert client.get("/images/none-such.png").status_code == 404
        assert client.get("/readyz").json() == {"ok": True, "problems": {}}
        kind = settings.blobs.partition(":")[0]
        assert first["output_path"].startswith(kind)
    assert not (tmp_path / settings.outputs_dir).exists()
    assert not (tmp_path / settings.uploads_dir).exists()


def test_clients_are_sent_to_the_bucket_where_that_is_wanted(s3: S3Server, tmp_path: Path) -> None:
    settings = settings_on(tmp_path, in_bucket(s3, blob_links=True))
    with TestClient(create_app(settings), follow_redirects=False) as client:
        job = made(client)
        path = f"/images/{job['job_id']}.png"
        got, head = client.get(path), client.head(path)
        assert (got.status_code, head.status_code) == (307, 307)
        assert got.headers["location"].startswith(f"{s3.url}/{BUCKET}/some/where/outputs/")
        assert got.headers["cache-control"] == "no-store"
        content = WEB.get(got.headers["location"]).content
        assert base64.b64encode(content).decode() == job["image"]
        assert WEB.head(head.headers["location"]).headers["content-length"] == str(len(content))
        assert client.get("/images/none-such.png").status_code == 404


def test_a_bucket_that_is_away_is_a_503_and_no_stack_trace(
    s3: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(create_app(settings_on(tmp_path, in_bucket(s3)))) as client:
        job = made(client)
        s3.failing = (503, "SlowDown")
        for answer in (
            client.get(f"/images/{job['job_id']}.png"),
            client.post("/img2img", json={"prompt": "x", "image": job["image"], "resize_by": 1}),
            client.get("/readyz"),
        ):
            assert answer.status_code == 503, answer.text
            assert "in its bucket now" in answer.text
    assert "Traceback" not in caplog.text
