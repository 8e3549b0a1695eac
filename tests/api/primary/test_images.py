"""GET /images/{name}: the finished file, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

    from diffusionapi.settings import Settings


@pytest.fixture(scope="module")
def client(shared_client: TestClient) -> TestClient:
    return shared_client


@pytest.fixture(scope="module")
def outputs(client: TestClient) -> Path:
    settings: Settings = client.app.state.service.settings  # type: ignore[attr-defined]
    return settings.path(settings.outputs_dir)


@pytest.fixture(scope="module")
def _secrets(outputs: Path) -> None:
    """Beside the folder of pictures and in it."""
    (outputs.parent / "secret.png").write_bytes(b"classified")
    (outputs / "notes.txt").write_text("classified")
    (outputs / ".hidden.png").write_bytes(b"classified")
    (outputs / "link.png").symlink_to(outputs.parent / "secret.png")


@pytest.fixture(scope="module")
def name(client: TestClient) -> str:
    job_id = client.post("/txt2img", json={"prompt": "x", "steps": 1, "fileType": "png"}).json()["job_id"]
    assert client.get(f"/queue/{job_id}", params={"wait": 30}).json()["state"] == "done"
    return f"{job_id}.png"


def test_the_file_is_what_was_saved(client: TestClient, name: str, outputs: Path) -> None:
    answer = client.get(f"/images/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == (outputs / name).read_bytes()


def test_a_part_of_the_file_can_be_asked_for(client: TestClient, name: str) -> None:
    whole = client.get(f"/images/{name}").content
    part = client.get(f"/images/{name}", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == whole[10:20]
    assert client.get(f"/images/{name}", headers={"Range": f"bytes={len(whole)}-"}).status_code == 416


def test_a_client_that_has_the_file_is_not_sent_it_again(client: TestClient, name: str) -> None:
    etag = client.get(f"/images/{name}").headers["etag"]
    again = client.get(f"/images/{name}", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_head_tells_the_size(client: TestClient, name: str) -> None:
    answer = client.head(f"/images/{name}")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(client.get(f"/images/{name}").content)


@pytest.mark.usefixtures("_secrets")
@pytest.mark.parametrize(
    "path",
    [
        "none-such.png",
        "..%2Fsecret.png",
        "%2e%2e/secret.png",
        "..%5Csecret.png",
        "%2Fetc%2Fpasswd",
        "notes.txt",
        "link.png",
        ".hidden.png",
        "x.png%00.jpg",
        "x" * 5000 + ".png",
    ],
)
def test_nothing_but_pictures_of_the_folder_is_handed_out(client: TestClient, path: str) -> None:
    answer = client.get(f"/images/{path}")
    assert answer.status_code == 404
    assert b"classified" not in answer.content
