"""POST /training: LoRAs learnt from pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from diffusionapi.core.work import TrainingRequest
from diffusionapi.main import create_app
from diffusionapi.weights import lora_kind, trained
from tests import stubs
from tests.api.primary.test_events import read
from tests.api.primary.test_img2img import PICTURE, encoded
from tests.api.primary.test_queue import RUNNING_KEYS
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.settings import Settings

ASKED: dict[str, Any] = {
    "name": "sks-dog",
    "images": [PICTURE, PICTURE],
    "instance_prompt": "a photo of sks dog",
    "steps": 5,
}


def submit(client: TestClient, **fields: Any) -> str:
    answer = client.post("/training", json=ASKED | fields)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["job_id", "status", "lora", "notices"]
    assert answer.json()["lora"] == fields.get("name", "sks-dog")
    return str(answer.json()["job_id"])


def asked(client: TestClient, **fields: Any) -> TrainingRequest:
    found = client.app.state.service.store.ticket(submit(client, **fields)).request  # type: ignore[attr-defined]
    assert isinstance(found, TrainingRequest)
    return found


def refusal(client: TestClient, **fields: Any) -> str:
    answer = client.post("/training", json=ASKED | fields)
    assert answer.status_code == 422, answer.text
    return str(answer.json()["error"])


@pytest.fixture
def slow_client(settings: Settings) -> Iterator[TestClient]:
    """Its steps are slow enough to be watched."""
    with TestClient(create_app(settings.model_copy(update={"fake_step_seconds": 0.02}))) as client:
        yield client


# --- the whole way --------------------------------------------------------------------------------------


def test_a_training_ends_with_a_lora_that_can_be_used(client: TestClient, settings: Settings) -> None:
    job_id = submit(client)
    done = client.get(f"/queue/{job_id}", params={"wait": 30}).json()
    assert list(done) == [
        *RUNNING_KEYS,
        *("payload", "lora", "output_path", "model", "steps", "loss", "training_time_sec", "notices"),
    ]
    assert (done["state"], done["lora"], done["model"], done["steps"]) == ("done", "sks-dog", "fake", 5)
    assert done["output_path"] == "stable_diffusion/loras/sks-dog.safetensors"
    file = settings.path(settings.loras_dir) / "sks-dog.safetensors"
    assert "sd1" in lora_kind.inspect(file).families
    said = trained.read(file)
    assert said is not None
    assert said.instance_prompt == "a photo of sks dog"
    assert client.get(f"/queue/{job_id}").status_code == 404
    picture = {"prompt": "sks dog at sea", "steps": 1, "loras": [done["lora"]]}
    assert client.post("/txt2img", json=picture).status_code == 200


def test_the_payload_says_what_was_left_open_and_holds_no_picture(client: TestClient) -> None:
    done = client.get(f"/queue/{submit(client, steps=None, seed=7)}", params={"wait": 60}).json()
    payload = done["payload"]
    assert len(payload["images"]) == 2
    assert all(len(name) == 40 for name in payload.pop("images"))
    assert payload == {
        "name": "sks-dog",
        "instance_prompt": "a photo of sks dog",
        "model": "fake",
        "class_negative_prompt": "",
        "class_images": 50,
        "prior_weight": 1.0,
        "steps": 200,
        "learning_rate": 1e-4,
        "text_encoder_learning_rate": 0.0,
        "rank": 16,
        "size": 512,
        "batch_size": 1,
        "seed": 7,
        "priority": 0,
    }


def test_its_loss_is_told_while_it_learns(slow_client: TestClient) -> None:
    job_id = submit(slow_client, steps=500, class_prompt="a dog", class_images=3)
    seen: list[dict[str, Any]] = []

    def learns() -> bool:
        seen.append(slow_client.get(f"/queue/{job_id}").json())
        return "loss" in seen[-1]

    wait_until(learns, 30)
    assert list(seen[0]) == RUNNING_KEYS
    assert list(seen[-1]) == [*RUNNING_KEYS, "step", "steps", "loss"]
    assert (seen[-1]["current_phase"], seen[-1]["steps"]) == ("training", 500)
    assert seen[-1]["loss"] > 0
    (running,) = slow_client.get("/queue").json()["running"]
    assert (running["job_id"], running["current_phase"]) == (job_id, "training")
    assert slow_client.get(f"/queue/{job_id}", params={"preview": 1}).json()["preview"] is None
    assert slow_client.delete(f"/queue/{job_id}").json()["state"] == "cancelling"
    last = slow_client.get(f"/queue/{job_id}", params={"wait": 30}).json()
    assert (last["state"], last["current_phase"]) == ("error", "cancelled")
    assert list(last) == RUNNING_KEYS


def test_events_tell_the_loss_and_the_lora(client: TestClient) -> None:
    with client.stream("GET", f"/queue/{submit(client)}/events") as feed:
        told = read(feed.iter_lines())
    assert [data["loss"] > 0 for name, _, data in told if name == "step"] == [True] * 5
    name, _, finished = told[-1]
    assert name == "finished"
    assert list(finished) == [
        *("job_id", "lora", "output_path", "model", "steps", "loss", "training_time_sec"),
    ]
    assert finished["lora"] == "sks-dog"


# --- what is asked for ----------------------------------------------------------------------------------


def test_every_field_is_in_the_job(idle_client: TestClient) -> None:
    request = asked(
        idle_client,
        images=[PICTURE, encoded_small()],
        class_prompt="a photo of a dog",
        class_negative_prompt="blurry",
        class_images=7,
        prior_weight=0.5,
        steps=90,
        learning_rate=2e-4,
        text_encoder_learning_rate=5e-5,
        rank=8,
        alpha=4,
        size=768,
        batch_size=2,
        seed=11,
    )
    assert len(set(request.pictures)) == 2
    assert request == TrainingRequest(
        name="sks-dog",
        model="fake",
        pictures=request.pictures,
        instance_prompt="a photo of sks dog",
        class_prompt="a photo of a dog",
        class_negative_prompt="blurry",
        class_pictures=7,
        prior_weight=0.5,
        steps=90,
        rate=2e-4,
        text_encoder_rate=5e-5,
        text_encoder_steps=30,
        rank=8,
        alpha=4.0,
        size=768,
        batch=2,
        seed=11,
    )


def encoded_small() -> str:
    from PIL import Image

    return encoded(Image.new("RGB", (32, 48), "teal"))


def test_what_is_left_open_is_what_suits_the_model(idle_client: TestClient, tmp_path: Path) -> None:
    stubs.a_model(tmp_path / "stable_diffusion" / "models" / "large", "sdxl")
    request = asked(idle_client, model="large", steps=None)
    assert (request.model, request.size, request.steps) == ("large", 1024, 200)
    assert (request.class_prompt, request.class_pictures, request.prior_weight) == (None, 0, 0.0)
    assert (request.text_encoder_rate, request.text_encoder_steps) == (0.0, 0)


def test_what_does_nothing_is_told(client: TestClient) -> None:
    job_id = submit(client, class_images=3, text_encoder_steps=2, learning_rate=2e-6)
    notices = client.get(f"/queue/{job_id}", params={"wait": 30}).json()["notices"]
    assert [one.split(" ")[0] for one in notices] == ["class_images", "text_encoder_steps", "A"]
    assert "learns next to nothing by it" in notices[-1]


def notices(client: TestClient, **fields: Any) -> list[str]:
    found = client.get(f"/queue/{submit(client, **fields)}", params={"wait": 30}).json()
    assert found["state"] == "done", found
    return list(found["notices"])


def test_too_few_steps_are_told_with_what_is_usual(client: TestClient) -> None:
    assert notices(client, name="short", steps=30) == [
        "30 steps at a rate of 0.0001 are too few for a LoRA to show; with 2 pictures 200 at 0.0001 are usual"
    ]
    assert notices(client, name="slow", steps=200, learning_rate=2e-5, images=[PICTURE]) == [
        "200 steps at a rate of 2e-05 are too few for a LoRA to show; with 1 picture 100 at 0.0001 are usual"
    ]
    assert notices(client, name="quick", steps=30, learning_rate=3e-4) == []
    assert notices(client, name="usual", steps=None) == []


def test_what_is_told_in_the_end_is_told_in_the_beginning(idle_client: TestClient) -> None:
    answer = idle_client.post("/training", json=ASKED).json()
    ticket = idle_client.app.state.service.store.ticket(answer["job_id"])  # type: ignore[attr-defined]
    assert answer["notices"] == list(ticket.notices)
    assert "too few" in answer["notices"][0]


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field", "hint"),
    [
        ({"name": None}, "name", "is required"),
        ({"name": "../x"}, "name", "letters, digits"),
        ({"images": None}, "images", "is required"),
        ({"images": []}, "images", "at least 1"),
        ({"images": [PICTURE, "no picture!"]}, "images[1]", "neither base64 nor a URL"),
        ({"instance_prompt": " "}, "instance_prompt", "must not be blank"),
        ({"model": "fale"}, "model", "did you mean 'fake'"),
        ({"steps": 0}, "steps", "must be from 1 to 20000"),
        ({"learning_rate": 2}, "learning_rate", "must be from 0 to 1"),
        ({"rank": 0}, "rank", "must be from 1 to 256"),
        ({"alpha": 0}, "alpha", "must be above 0, 1024 at most"),
        ({"size": 32}, "size", "must be from 64 to 2048"),
        ({"class_images": "many"}, "class_images", "must be a whole number"),
    ],
)
def test_what_is_wrong_is_refused_with_the_field(
    idle_client: TestClient, fields: dict[str, Any], field: str, hint: str
) -> None:
    sentence = refusal(idle_client, **fields)
    assert sentence.startswith(f"{field}: "), sentence
    assert hint in sentence
    assert idle_client.get("/queue").json()["waiting_total"] == 0


def test_a_refiner_learns_nothing(idle_client: TestClient, tmp_path: Path) -> None:
    stubs.a_model(tmp_path / "stable_diffusion" / "models" / "finisher", "refiner")
    assert refusal(idle_client, model="finisher").startswith("model: 'finisher' is an SDXL refiner")


def test_no_two_loras_get_one_name(idle_client: TestClient, tmp_path: Path) -> None:
    stubs.a_lora(tmp_path / "stable_diffusion" / "loras" / "ink.safetensors")
    assert refusal(idle_client, name="Ink") == "name: a LoRA 'ink' is there already; take another name"
    job_id = submit(idle_client)
    for name in ("sks-dog", "SKS_dog"):
        assert f"is being learnt, or was a short while ago: GET /queue/{job_id}" in refusal(
            idle_client, name=name
        )
    assert submit(idle_client, name="sks-cat") != job_id


def test_an_idempotency_key_gives_the_same_job(idle_client: TestClient) -> None:
    def post(**fields: Any) -> Any:
        return idle_client.post("/training", json=ASKED | fields, headers={"Idempotency-Key": "k"})

    assert post().json() == post().json()
    assert post(steps=6).status_code == 422
