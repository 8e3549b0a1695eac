"""POST /txt2img: what is accepted, and with which sentence the rest is refused."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from diffusionapi.main import create_app
from tests import stubs
from tests.api.primary.seed_example import REQUEST, install_its_names

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings


def refusal(client: TestClient, **body: Any) -> str:
    answer = client.post("/txt2img", json={"prompt": "a lighthouse"} | body)
    assert answer.status_code == 422, answer.text
    found = answer.json()
    assert list(found) == ["status", "error", "detail"]
    assert found["status"] == "error"
    assert found["error"] == found["detail"]
    sentence: str = found["error"]
    return sentence


def test_the_answer_is_exactly_the_documented_one(idle_client: TestClient) -> None:
    answer = idle_client.post("/txt2img", json={"prompt": "a lighthouse"})
    assert answer.status_code == 200
    assert list(answer.json()) == ["job_id", "status"]
    assert answer.json()["status"] == "queued"
    assert uuid.UUID(answer.json()["job_id"]).version == 4


def test_the_documented_request_with_every_field_is_accepted(idle_client: TestClient, tmp_path: Path) -> None:
    install_its_names(tmp_path)
    assert idle_client.post("/txt2img", json=REQUEST).status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "hint"),
    [
        ({"prompt": ""}, "prompt", "must not be blank"),
        ({"prompt": " \n"}, "prompt", "must not be blank"),
        ({"prompt": None}, "prompt", "is required"),
        ({"prompt": 5}, "prompt", "string"),
        ({"prompt": "\ud800"}, "prompt", "unicode"),
        ({"steps": 0}, "steps", "must be from 1 to 1000, got 0"),
        ({"steps": 1001}, "steps", "must be from 1 to 1000"),
        ({"steps": "many"}, "steps", "must be a whole number, got 'many'"),
        ({"steps": 2.5}, "steps", "must be a whole number, got 2.5"),
        ({"steps": True}, "steps", "must be a number"),
        ({"cfg_scale": -1}, "cfg_scale", "must be from 0 to 100"),
        ({"cfg_scale": "NaN"}, "cfg_scale", "must be a number, got 'NaN'"),
        ({"cfg_scale": float("inf")}, "cfg_scale", "must be a number, got Infinity"),
        ({"refiner_switch_at": "nan"}, "refiner_switch_at", "must be a number, got 'nan'"),
        ({"cfg_scale": 101}, "cfg_scale", "must be from 0 to 100"),
        ({"width": 7}, "width", "must be from 8 to 16384"),
        ({"height": 20000}, "height", "must be from 8 to 16384"),
        ({"width": 2056}, "width", "at most 2048 on this server (MAX_SIDE), got 2056"),
        ({"seed": -2}, "seed", "must be from -1 to 4294967295"),
        ({"seed": 2**32}, "seed", "must be from -1 to 4294967295"),
        ({"seed": "abc"}, "seed", "must be a whole number, got 'abc'"),
        ({"fileType": False}, "fileType", "must be 'jpg' or 'png', got false"),
        ({"fileType": "webp"}, "fileType", "must be 'jpg' or 'png', got 'webp'"),
        ({"jpeg_quality": 0}, "jpeg_quality", "must be from 1 to 100"),
        ({"jpeg_quality": 101}, "jpeg_quality", "must be from 1 to 100"),
        ({"loras": "my-lora"}, "loras", "must be a list, got 'my-lora'"),
        ({"loras": ["x"] * 33}, "loras", "must have at most 32 items, got 33"),
        ({"loras": [5]}, "loras[0]", "must be an object, got 5"),
        ({"loras": [{"name": "x", "scale": "strong"}]}, "loras[0].scale", "must be a number, got 'strong'"),
        ({"hires": True}, "hires", "must be an object, got true"),
        ({"hires": {"enabled": True, "scale": 9}}, "hires.scale", "must be from 1 to 4"),
        ({"hires": {"denoising_strength": 1.5}}, "hires.denoising_strength", "must be from 0 to 1"),
        (
            {"width": 2048, "hires": {"enabled": True, "scale": 2.5}},
            "hires.scale",
            "4096 pixels a side at most",
        ),
        ({"sampler_name": "DDIM", "hires": {"enabled": True, "steps": 1}}, "hires.steps", "needs at least 2"),
        ({"prompt": "a fox <lora:none-such:1>"}, "prompt", "unknown LoRA 'none-such'"),
        ({"prompt": "a fox <lora:x:strong>"}, "prompt", "is not of the form <lora:name:weight>"),
        ({"clip_skip": 0}, "clip_skip", "must be from 1 to 12"),
        ({"refiner_switch_at": 2}, "refiner_switch_at", "must be from 0 to 1"),
        ({"sampler_name": "Euler b"}, "sampler_name", "did you mean 'Euler a'"),
        ({"sampler_name": "zzz"}, "sampler_name", "known: Euler, Euler a, Heun"),
        ({"scheduler_type": "caras"}, "scheduler_type", "did you mean 'karras'"),
        ({"sampler_name": "UniPC", "scheduler_type": "ddim"}, "scheduler_type", "does not go with"),
        ({"sampler_name": "DDIM", "steps": 1}, "steps", "needs at least 2"),
        ({"model": "fale"}, "model", "did you mean 'fake'"),
        ({"model": "Amanatsu"}, "model", "(John6666__amanatsu-illustrious-v11-sdxl) is not installed"),
        (
            {"model": "Amanatsu"},
            "model",
            "diffusionapi.models pull John6666/amanatsu-illustrious-v11-sdxl fetches it",
        ),
        ({"model": ""}, "model", "must not be blank"),
        ({"loras": ["none-such"]}, "loras[0]", "no LoRA is installed"),
        ({"hires": {"enabled": True, "upscaler": "Latnt"}}, "hires.upscaler", "did you mean 'Latent'"),
        ({"hires": {"enabled": False, "upscaler": "zzz"}}, "hires.upscaler", "known: Latent"),
        ({"refiner_checkpoint": "none-such"}, "refiner_checkpoint", "unknown model"),
    ],
)
def test_what_is_wrong_is_refused_with_the_field_and_what_would_be_right(
    idle_client: TestClient, body: dict[str, Any], field: str, hint: str
) -> None:
    content = json.dumps({"prompt": "a lighthouse"} | body)
    answer = idle_client.post("/txt2img", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    sentence = answer.json()["error"]
    assert sentence.startswith(f"{field}: "), sentence
    assert hint in sentence
    assert idle_client.get("/queue").json()["waiting_total"] == 0


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(idle_client: TestClient, number: str) -> None:
    answer = idle_client.post("/txt2img", content=f'{{"prompt": "x", "cfg_scale": {number}}}')
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("cfg_scale: ")


def test_all_that_is_wrong_is_said_at_once(idle_client: TestClient) -> None:
    sentence = refusal(idle_client, steps=0, width=1)
    assert "steps: " in sentence
    assert "width: " in sentence


def test_near_names_of_loras_are_given(idle_client: TestClient, settings: Settings) -> None:
    folder = settings.path(settings.loras_dir)
    folder.mkdir(parents=True)
    (folder / "night-style.safetensors").touch()
    assert "did you mean 'night-style'?" in refusal(idle_client, loras=["nightstil"])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            {"model": "xl", "refiner_checkpoint": "xl"},
            "refiner_checkpoint: 'xl' is SDXL; name an SDXL refiner, or none",
        ),
        (
            {"model": "old", "refiner_checkpoint": "refiner"},
            "refiner_checkpoint: a refiner goes with SDXL models only, and 'old' is SD 1.x",
        ),
        (
            {"model": "refiner"},
            "model: 'refiner' is an SDXL refiner; name it as the refiner of an SDXL model",
        ),
        (
            {"model": "old", "loras": ["for-old", "for-xl"]},
            "loras[1]: 'for-xl' was made for SDXL, and the model 'old' is SD 1.x",
        ),
        (
            {"model": "xl", "prompt": "a fox <lora:for-old:1>"},
            "prompt: 'for-old' was made for SD 1.x, and the model 'xl' is SDXL",
        ),
        (
            {"model": "half"},
            "model: stable_diffusion/models/half.safetensors cannot be used: it is cut short",
        ),
        (
            {"loras": ["half"]},
            "loras[0]: stable_diffusion/loras/half.safetensors cannot be used: it is cut short",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_before_it_waits(
    idle_client: TestClient, settings: Settings, body: dict[str, Any], sentence: str
) -> None:
    models, loras = settings.path(settings.models_dir), settings.path(settings.loras_dir)
    stubs.a_model(models / "old", "sd1")
    stubs.a_model(models / "xl", "sdxl")
    stubs.a_model(models / "refiner", "refiner")
    stubs.a_lora(loras / "for-old.safetensors", "sd1")
    stubs.a_lora(loras / "for-xl.safetensors", "sdxl")
    for folder in (models, loras):
        (folder / "half.safetensors").touch()
    assert sentence in refusal(idle_client, **body)
    assert idle_client.get("/queue").json()["waiting_total"] == 0


def test_a_lora_without_effect_is_not_looked_at(idle_client: TestClient, settings: Settings) -> None:
    stubs.a_model(settings.path(settings.models_dir) / "old", "sd1")
    stubs.a_lora(settings.path(settings.loras_dir) / "for-xl.safetensors", "sdxl")
    body = {"prompt": "x", "model": "old", "loras": [{"name": "for-xl", "scale": 0}]}
    assert idle_client.post("/txt2img", json=body).status_code == 200


@pytest.mark.parametrize("content", ["", "{", "prompt=x", '{"prompt": }', "\xff"])
def test_a_body_that_is_not_json_is_refused(idle_client: TestClient, content: str) -> None:
    answer = idle_client.post("/txt2img", content=content.encode("latin-1"))
    assert answer.status_code in (400, 422)
    assert answer.json()["status"] == "error"
    assert answer.json()["error"] == answer.json()["detail"]


def test_a_body_that_is_not_json_is_answered_with_what_to_send(idle_client: TestClient) -> None:
    answer = idle_client.post("/txt2img", content="prompt=x")
    assert answer.status_code == 400
    assert answer.json()["error"].endswith("""; send JSON, as in -d '{"prompt": "…"}'""")


@pytest.mark.parametrize("content", ["[]", '"x"', "5", "null", ""])
def test_json_that_is_no_object_is_refused(idle_client: TestClient, content: str) -> None:
    answer = idle_client.post("/txt2img", content=content)
    assert answer.status_code == 422
    assert answer.json()["error"] == "body: must be a JSON object"


def test_a_body_is_json_whatever_its_content_type_says(idle_client: TestClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = idle_client.post("/txt2img", content='{"prompt": "x"}', headers=headers)
    assert answer.status_code == 200


def test_a_body_over_the_limit_is_refused(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"workers": 0, "max_body_mb": 1}))
    with TestClient(app) as client:
        answer = client.post("/txt2img", json={"prompt": "x" * 2**20})
    assert answer.status_code == 413
    assert answer.json()["status"] == "error"


def understood(client: TestClient, **body: Any) -> dict[str, Any]:
    """The request as the server understood it."""
    job_id = client.post("/txt2img", json={"prompt": "x", "steps": 1} | body).json()["job_id"]
    payload: dict[str, Any] = client.get(f"/queue/{job_id}", params={"wait": 30}).json()["payload"]
    return payload


def test_what_was_left_open_is_filled_with_the_documented_defaults(client: TestClient) -> None:
    job_id = client.post("/txt2img", json={"prompt": "x"}).json()["job_id"]
    payload = client.get(f"/queue/{job_id}", params={"wait": 30}).json()["payload"]
    assert payload == {
        "prompt": "x",
        "negative_prompt": "",
        "steps": 30,
        "cfg_scale": 7.0,
        "width": 512,
        "height": 512,
        "model": "fake",
        "sampler_name": "DPM++ 2M Karras",
        "scheduler_type": "karras",
        "fileType": "jpg",
        "jpeg_quality": 85,
        "loras": [],
    }


def test_nulls_are_as_good_as_nothing(client: TestClient) -> None:
    nulls = dict.fromkeys(["negative_prompt", "cfg_scale", "seed", "hires", "loras", "model", "fileType"])
    assert understood(client, **nulls) == understood(client)


def test_numbers_may_be_text(client: TestClient) -> None:
    assert understood(client, steps="2", cfg_scale="5.5", seed="9")["cfg_scale"] == 5.5


def test_unknown_fields_are_ignored(client: TestClient) -> None:
    assert "colour" not in understood(client, colour="red")


def test_sizes_go_to_the_nearest_multiple_of_eight(client: TestClient) -> None:
    payload = understood(client, width=100, height=99)
    assert (payload["width"], payload["height"]) == (104, 96)


@pytest.mark.parametrize("spelling", ["jpeg", "JPG", "Jpeg"])
def test_jpeg_has_many_spellings(client: TestClient, spelling: str) -> None:
    assert understood(client, fileType=spelling)["fileType"] == "jpg"


def test_loras_may_be_bare_names(client: TestClient, settings: Settings) -> None:
    stubs.a_lora(settings.path(settings.loras_dir) / "night.safetensors")
    payload = understood(client, loras=["night", {"name": "night", "scale": 0.5}])
    assert payload["loras"] == [{"name": "night", "scale": 1.0}, {"name": "night", "scale": 0.5}]


def test_the_same_idempotency_key_gives_the_same_job(idle_client: TestClient) -> None:
    def post(**body: Any) -> Any:
        return idle_client.post("/txt2img", json={"prompt": "x"} | body, headers={"Idempotency-Key": "k1"})

    first, again = post(), post()
    assert first.json() == again.json()
    assert idle_client.get("/queue").json()["waiting_total"] == 1
    other = post(steps=5)
    assert other.status_code == 422
    assert other.json()["error"].startswith("Idempotency-Key: ")


def test_a_full_queue_answers_429_and_when_to_come_back(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"workers": 0, "queue_limit": 2}))
    with TestClient(app) as client:
        for _ in range(2):
            assert client.post("/txt2img", json={"prompt": "x"}).status_code == 200
        refused = client.post("/txt2img", json={"prompt": "x"})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["status"] == "error"


def test_a_server_that_must_check_pictures_refuses_what_it_cannot_check(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"workers": 0, "safety": "required"}))
    with TestClient(app) as client:
        assert refusal(client).startswith("model: has no safety checker")


def test_any_web_page_may_call_the_api(idle_client: TestClient) -> None:
    answer = idle_client.options(
        "/txt2img",
        headers={
            "Origin": "https://example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    assert answer.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/txt2img", 405)])
def test_unknown_paths_and_methods_wear_the_same_face(
    idle_client: TestClient, method: str, path: str, status: int
) -> None:
    answer = idle_client.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["status", "error", "detail"]
