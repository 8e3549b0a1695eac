"""POST /upscale: given pictures, larger."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.api.primary.test_events import read
from tests.api.primary.test_img2img import PICTURE, SIZE, a_picture, picture_of
from tests.api.primary.test_queue import RUNNING_KEYS

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


def submit(client: TestClient, **fields: Any) -> str:
    body = {"image": PICTURE, "upscaler": "Lanczos", "fileType": "png"} | fields
    answer = client.post("/upscale", json=body)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["job_id", "status"]
    return str(answer.json()["job_id"])


def last_answer(client: TestClient, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/queue/{job_id}", params={"wait": 30}).json()
    return found


def test_a_picture_comes_back_larger(shared_client: TestClient) -> None:
    done = last_answer(shared_client, submit(shared_client, scale=1.5))
    assert (done["width"], done["height"]) == picture_of(done).size == (144, 96)
    assert picture_of(done).tobytes() == a_picture().resize((144, 96), Image.Resampling.LANCZOS).tobytes()


def test_the_final_answer_has_no_seed_and_no_sampling(shared_client: TestClient) -> None:
    done = last_answer(shared_client, submit(shared_client))
    assert list(done) == [
        *RUNNING_KEYS,
        *("payload", "image", "output_path", "width", "height", "file_type", "jpeg_quality"),
        *("generation_time_sec", "memory_before_mb", "memory_after_mb"),
    ]
    payload = done["payload"]
    assert payload.pop("image").endswith(".png")
    assert payload == {
        "fileType": "png",
        "jpeg_quality": 85,
        "priority": 0,
        "scale": 2.0,
        "upscaler": "Lanczos",
        "faces": False,
    }


def test_without_an_upscaler_the_best_one_is_taken(idle_client: TestClient) -> None:
    job_id = submit(idle_client, upscaler=None)
    service = idle_client.app.state.service  # type: ignore[attr-defined]
    request = service.store.ticket(job_id).request
    assert (request.upscaler, request.scale, request.faces) == ("Lanczos", 2.0, False)
    assert idle_client.get("/queue").json()["waiting"][0]["job_id"] == job_id


def test_events_tell_of_the_upscaler_and_of_no_model(shared_client: TestClient) -> None:
    job_id = submit(shared_client)
    with shared_client.stream("GET", f"/queue/{job_id}/events") as feed:
        name, _, finished = read(feed.iter_lines())[-1]
    assert name == "finished"
    assert finished["image_url"].endswith(f"/images/{job_id}.png")
    assert (finished["upscaler"], finished["width"]) == ("Lanczos", 2 * SIZE[0])
    assert {"seed", "model", "sampling"} & set(finished) == set()


def test_a_picture_of_this_server_may_be_named(shared_client: TestClient) -> None:
    first = submit(shared_client)
    last_answer(shared_client, first)
    again = last_answer(shared_client, submit(shared_client, image=f"http://testserver/images/{first}.png"))
    assert (again["width"], again["height"]) == (4 * SIZE[0], 4 * SIZE[1])


def test_an_idempotency_key_gives_the_same_job(idle_client: TestClient) -> None:
    def post(scale: float) -> Any:
        body = {"image": PICTURE, "scale": scale}
        return idle_client.post("/upscale", json=body, headers={"Idempotency-Key": "k"})

    assert post(2).json() == post(2).json()
    assert post(3).status_code == 422


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"image": None}, 400, "Image field is required"),
        ({"image": "no picture!"}, 422, "image: this is neither base64 nor a URL"),
        ({"scale": 0.5}, 422, "scale: must be from 1 to 4, got 0.5"),
        ({"scale": 5}, 422, "scale: must be from 1 to 4, got 5"),
        (
            {"upscaler": "Latent"},
            422,
            "upscaler: 'Latent' makes latents larger, and no pictures; known: Lanczos, Nearest",
        ),
        ({"image": "aGVsbG8="}, 422, "image: this is no PNG, JPEG or WebP"),
        ({"upscaler": "zzz"}, 422, "upscaler: unknown upscaler 'zzz'; known: Lanczos, Nearest"),
        ({"faces": True}, 422, "faces: faces cannot be restored"),
        ({"fileType": "gif"}, 422, "fileType: must be 'jpg' or 'png'"),
    ],
)
def test_what_is_wrong_is_refused_with_the_field(
    idle_client: TestClient, fields: dict[str, Any], status: int, sentence: str
) -> None:
    answer = idle_client.post("/upscale", json={"image": PICTURE} | fields)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(sentence)
    assert idle_client.get("/queue").json()["waiting_total"] == 0


def test_what_would_become_too_large_is_refused(idle_client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("L", (4000, 80)).save(buffer, "PNG")
    body = {"image": base64.b64encode(buffer.getvalue()).decode(), "scale": 3, "upscaler": "Nearest"}
    answer = idle_client.post("/upscale", json=body)
    assert answer.status_code == 422
    assert "scale: the picture would become 12000 x 240" in answer.json()["error"]
