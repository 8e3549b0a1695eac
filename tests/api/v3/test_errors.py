"""The bodies of errors, whole, and the order in which a request is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from diffusionapi.auth.keys import Keys
from diffusionapi.main import create_app
from tests.api.v3.house import (
    FAILED,
    INVALID_KEY,
    KEY,
    NO_MODEL,
    NO_REQUEST,
    OTHER_KEY,
    PICTURE,
    RATE_LIMIT,
    House,
    v3_settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT2IMG = "/api/v3/text2img"


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[House]:
    """Takes a request twice, has a line for one job, and answers with HTTP's statuses, too."""
    settings = v3_settings(
        tmp_path, workers=0, v3_wait=0.0, v3_repeats=2, queue_limit=1, v3_error_statuses=True
    )
    with TestClient(create_app(settings)) as client:
        yield House(client)


# --- the six bodies ---------------------------------------------------------------------------------------


def test_rate_limit(tmp_path: Path) -> None:
    settings = v3_settings(tmp_path, workers=0, v3_wait=0.0)
    settings = settings.model_copy(update={"v3_repeats": type(settings).model_fields["v3_repeats"].default})
    with TestClient(create_app(settings)) as client:
        house = House(client)
        for _ in range(5):
            assert house.make(seed=1)["status"] == "processing"
        answer = client.post(
            TEXT2IMG, json={"key": KEY, "prompt": "a lighthouse", "width": 64, "height": 64, "seed": 1}
        )
        assert (answer.status_code, answer.json()) == (200, RATE_LIMIT)
        assert 0 < int(answer.headers["Retry-After"]) <= 30
        assert house.make(seed=2)["status"] == "processing"
        assert House(client, OTHER_KEY).make(seed=1)["status"] == "processing"


def test_what_only_asks_is_never_limited(strict: House) -> None:
    made = strict.client.post(TEXT2IMG, json={"key": KEY, "prompt": "a lighthouse"}).json()
    for _ in range(5):
        answer = strict.client.post(f"/api/v3/fetch/{made['id']}", json={"key": KEY})
        assert answer.json()["status"] == "processing"


@pytest.mark.parametrize("key", ["nobodys", "", None, "x" * 2000, 5, ["a"], {"a": 1}, True])
def test_invalid_key(idle: House, key: object) -> None:
    answer = idle.client.post(TEXT2IMG, json={"key": key, "prompt": "a lighthouse"})
    assert (answer.status_code, answer.json()) == (200, INVALID_KEY)


def test_failed_response(idle: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("diffusionapi.api.v3.generations.submit", broken)
    assert idle.make() == FAILED


def test_a_picture_that_cannot_be_made_fails_with_a_reason(house: House) -> None:
    answer = house.make(prompt="#fail@1")
    assert answer == FAILED | {"tip": "The prompt asked the fake engine to fail"}


def test_validation_error(idle: House) -> None:
    assert idle.ask(TEXT2IMG) == {
        "status": "error",
        "message": {"prompt": ["The prompt field is required."]},
    }


def test_model_id_is_missing(idle: House) -> None:
    assert idle.make("/api/v4/dreambooth") == NO_MODEL


# --- and further ones -------------------------------------------------------------------------------------


def test_an_unknown_model_id_has_a_tip_as_well(idle: House) -> None:
    answer = idle.make("/api/v4/dreambooth", model_id="minni")
    assert answer == NO_MODEL | {"tip": "unknown model 'minni'; did you mean 'mini'?"}


def test_all_missing_fields_are_told_at_once(idle: House) -> None:
    assert idle.ask("/api/v3/inpaint") == {
        "status": "error",
        "message": {
            "prompt": ["The prompt field is required."],
            "init_image": ["The init image field is required."],
            "mask_image": ["The mask image field is required."],
        },
    }


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("width", 1025, "The width must be between 64 and 1024."),
        ("height", 63, "The height must be between 64 and 1024."),
        ("height", "tall", "The height must be an integer."),
        ("width", True, "The width must be a number."),
        ("samples", 5, "The samples must be between 1 and 4."),
        ("num_inference_steps", 52, "The num inference steps must be between 1 and 51."),
        ("guidance_scale", 0.5, "The guidance scale must be between 1 and 20."),
        ("guidance_scale", "a lot", "The guidance scale must be a number."),
        ("seed", 2**32, "The seed must be between 0 and 4294967295."),
        ("clip_skip", 9, "The clip skip must be between 1 and 8."),
        ("upscale", 4, "The upscale must be between 1 and 3."),
        ("panorama", "perhaps", "The panorama must be yes or no."),
        ("prompt", ["a"], "The prompt must be a string."),
        ("lora_strength", "strong", "The lora strength must be a number."),
        ("lora_model", {}, "The lora model must be a name, or several with commas between them."),
        ("embeddings_model", 7, "The embeddings model must be a name, or several with commas between them."),
        ("lora_model", [{}], "The lora model must be a string."),
        ("lora_strength", {}, "The lora strength must be a number, or several with commas between them."),
        ("lora_model", "ink," * 33, "The lora model must have at most 32 items."),
        ("steps", 52, "The steps must be between 1 and 51."),
        ("webhook", "mail:me", "The webhook must be a URL that begins with https:// or http://."),
        ("webhook", "https://", "The webhook must be a URL that begins with https:// or http://."),
    ],
)
def test_a_wrong_value_is_told_by_its_field(idle: House, field: str, value: object, sentence: str) -> None:
    assert idle.wrong(**{field: value}) == {field: [sentence]}


def test_a_sentence_that_asks_ends_so(idle: House) -> None:
    (sentence,) = idle.wrong(scheduler="EulerDiscrete")["scheduler"]
    assert sentence.endswith("did you mean 'EulerDiscreteScheduler'?")


def test_a_url_that_gives_no_picture(idle: House) -> None:
    answer = idle.make("/api/v3/img2img", init_image="http://localhost:1/none.png")
    assert answer["status"] == "error"
    assert answer["message"] == "Unable to fetch image from provided URL"


def test_a_picture_of_ours_that_is_not_there(idle: House) -> None:
    url = "/generations/00000000-0000-0000-0000-000000000000-0.png"
    answer = idle.make("/api/v3/img2img", init_image=url)
    assert answer["message"] == "Unable to fetch image from provided URL"


def test_what_is_no_picture(idle: House) -> None:
    assert list(idle.wrong("/api/v3/img2img", init_image="bm8gcGljdHVyZQ==")) == ["init_image"]


@pytest.mark.parametrize(
    "path", ["/api/v3", "/api/v3/", "/api/v3/none", "/api/v4/none/", "/api/v5/none", "/api/v3/fetch/1/2"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path(idle: House, path: str, method: str) -> None:
    answer = idle.client.request(method, path)
    assert (answer.status_code, answer.json()) == (404, {"status": "error", "message": "Not found"})


@pytest.mark.parametrize("path", [TEXT2IMG, f"{TEXT2IMG}/"])
def test_every_call_is_a_post(idle: House, path: str) -> None:
    answer = idle.client.get(path)
    assert (answer.status_code, answer.json()["status"]) == (405, "error")
    assert answer.headers["Allow"] == "POST"


# --- the order: JSON, key, rate limit, fields, model ------------------------------------------------------


def test_the_key_is_looked_at_before_the_fields(idle: House) -> None:
    assert idle.client.post(TEXT2IMG, json={"key": "nobodys", "width": "x"}).json() == INVALID_KEY


def test_the_rate_is_looked_at_before_the_fields_and_behind_the_key(strict: House) -> None:
    for status in (422, 422, 429):
        answer = strict.client.post(TEXT2IMG, json={"key": KEY, "width": "x"})
        assert answer.status_code == status
    for _ in range(3):
        assert strict.client.post(TEXT2IMG, json={"key": "nobodys"}).status_code == 401


def test_fields_are_looked_at_before_the_model(idle: House) -> None:
    assert idle.ask("/api/v4/dreambooth", model_id="none")["message"] == {
        "prompt": ["The prompt field is required."]
    }


# --- HTTP's statuses, where the operator wants them -------------------------------------------------------


def test_with_statuses_of_http(strict: House) -> None:
    client = strict.client

    def status(path: str, **body: object) -> int:
        code: int = client.post(path, json={"key": KEY} | body).status_code
        return code

    assert client.post(TEXT2IMG, content=b"{").status_code == 400
    assert status(TEXT2IMG) == 422
    assert status("/api/v4/dreambooth", prompt="a") == 422
    assert status("/api/v3/fetch/1") == 404
    assert status(TEXT2IMG, prompt="a") == 200
    full = client.post(TEXT2IMG, json={"key": KEY, "prompt": "b"})
    assert (full.status_code, full.json()["message"]) == (429, "Rate limit exceeded")
    assert int(full.headers["Retry-After"]) > 0


def test_without_them_a_full_queue_is_an_answer_like_others(tmp_path: Path) -> None:
    settings = v3_settings(tmp_path, workers=0, v3_wait=0.0, queue_limit=2)
    with TestClient(create_app(settings)) as client:
        house = House(client)
        assert house.make(samples=3)["message"] == "Rate limit exceeded"
        assert house.make(samples=2)["status"] == "processing"
        assert "queue is full" in house.make()["tips"]


def test_a_body_that_is_too_large(tmp_path: Path) -> None:
    with TestClient(create_app(v3_settings(tmp_path, workers=0, v3_wait=0.0, max_body_mb=1))) as client:
        answer = House(client).make("/api/v3/img2img", init_image=PICTURE + "A" * 2**20)
        assert answer == {"status": "error", "message": "The body is larger than 1 MiB (MAX_BODY_MB)"}


def test_a_key_with_a_limit_of_its_own(tmp_path: Path) -> None:
    settings = v3_settings(tmp_path, workers=0, v3_wait=0.0, api_keys=SecretStr(""))
    keys = Keys(settings)
    key = keys.make("bob", per_minute=2)
    keys.close()
    with TestClient(create_app(settings)) as client:
        house = House(client, key)
        made = house.make()
        assert house.make()["status"] == "processing"
        assert house.make()["message"] == "Rate limit exceeded"
        assert "with this key" in house.make()["tips"]
        assert house.ask(f"/api/v3/fetch/{made['id']}")["status"] == "processing"


def test_a_request_of_another_key_is_unknown(idle: House) -> None:
    made = idle.make()
    other = House(idle.client, OTHER_KEY)
    assert other.ask(f"/api/v3/fetch/{made['id']}") == NO_REQUEST
