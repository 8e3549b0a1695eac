"""What the server answers is what its OpenAPI document promises, to made-up requests and along real jobs."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from pydantic import SecretStr
from schemathesis.checks import not_a_server_error
from schemathesis.config import (
    CacheConfig,
    GenerationConfig,
    HealthCheck,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.python.asgi import shutdown_lifespans
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from diffusionapi.main import create_app
from diffusionapi.settings import PROJECT, Settings
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from schemathesis import Case, Response

    Ask = Callable[..., Response]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
"""Not among them: that wrong data is refused. Numbers in strings, nulls and unknown keys are let pass."""

KEY = "key-of-bob-0123456789abcdef"
ALIASES = ["v3_dreambooth", "v3_dreambooth_img2img", "v3_dreambooth_inpaint", "v3_dreambooth_fetch"]
ALIASES += ["v3_controlnet", "v4_controlnet", "v1_super_resolution", "v6_super_resolution"]
ALIASES += ["v1_schedulers_list", "v3_model_list", "cancle_training"]
"""The same functions under further paths, which need not be made up for twice."""

_SETTINGS = Settings(
    model_labels=PROJECT / "model_labels.json",
    job_store="memory:",
    engine="fake",
    fake_step_seconds=0.001,
    max_body_mb=1,
    api_keys=SecretStr(f"bob:{KEY}"),
    v3_wait=0,
    v3_repeats=0,
    v3_error_statuses=True,
)
_CONFIG = ProjectConfig(
    generation=GenerationConfig(max_examples=60, deterministic=True, database="none"),
    max_stream_events=1000,
)
_DOCUMENT = schemathesis.openapi.from_dict(
    create_app(_SETTINGS).openapi(),
    config=SchemathesisConfig(
        seed=1,
        suppress_health_check=[HealthCheck.too_slow],
        cache=CacheConfig(enabled=False),
        projects=ProjectsConfig(default=_CONFIG),
    ),
)


@contextmanager
def _app(folder: Path, **settings: object) -> Iterator[FastAPI]:
    """An app that schemathesis starts at the first request."""
    try:
        yield create_app(_SETTINGS.model_copy(update={"data_dir": folder, **settings}))
    finally:
        shutdown_lifespans()


@pytest.fixture(scope="module")
def idle_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """Nobody works on what it accepts, so thousands of jobs cost nothing."""
    with _app(tmp_path_factory.mktemp("idle"), workers=0) as app:
        yield app


def _ask(app: FastAPI, method: str, path: str, body: object = None, **parts: Any) -> Response:
    """One request of ours; its answer, which is what the document promises."""
    if body is not None:
        parts |= {"body": body, "media_type": "application/json"}
    return _DOCUMENT[path][method].Case(**parts).call_and_validate(checks=CHECKS, app=app)


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Asks a server that works."""
    with _app(tmp_path) as app:
        yield partial(_ask, app)


@pytest.fixture
def ask_idle(tmp_path: Path) -> Iterator[Ask]:
    """Asks a server that does not work, with room for one job."""
    with _app(tmp_path, workers=0, queue_limit=1) as app:
        yield partial(_ask, app)


@_DOCUMENT.exclude(operation_id=ALIASES).parametrize()
def test_made_up_requests_get_answers_that_the_document_promises(case: Case[Any], idle_app: FastAPI) -> None:
    if isinstance(case.body, dict) and case.body.get("key"):  # without a true one there is but one answer
        case.body["key"] = KEY
    case.call_and_validate(checks=CHECKS, app=idle_app)


@pytest.mark.parametrize("file_type", ["jpg", "png"])
def test_all_answers_along_the_life_of_a_job_are_those_of_the_document(ask: Ask, file_type: str) -> None:
    job = ask("POST", "/txt2img", {"prompt": "a", "steps": 4, "fileType": file_type}).json()["job_id"]
    place = {"path_parameters": {"job_id": job}}
    picture = {"path_parameters": {"name": f"{job}.{file_type}"}}

    events = ask("GET", "/queue/{job_id}/events", **place)
    assert "event: finished" in events.text
    assert ask("GET", "/images/{name}", **picture).status_code == 200
    assert ask("GET", "/images/{name}", headers={"Range": "bytes=0-9"}, **picture).status_code == 206
    assert ask("GET", "/images/{name}", headers={"Range": "bytes=9999999-"}, **picture).status_code == 416
    etag = ask("GET", "/images/{name}", **picture).headers["etag"][0]
    assert ask("GET", "/images/{name}", headers={"If-None-Match": etag}, **picture).status_code == 304
    assert ask("DELETE", "/queue/{job_id}", **place).status_code == 409
    assert ask("GET", "/queue/{job_id}", **place).json()["state"] == "done"
    assert ask("GET", "/queue/{job_id}", **place).status_code == 404


@pytest.mark.parametrize("path", ["/upscale", "/training"])
def test_all_answers_along_the_life_of_other_work_are_those_of_the_document(ask: Ask, path: str) -> None:
    examples = _DOCUMENT.raw_schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    (example,) = examples["examples"].values()
    more = {"steps": 300} if path == "/training" else {}
    job = ask("POST", path, example["value"] | more).json()["job_id"]
    place = {"path_parameters": {"job_id": job}}

    told: list[dict[str, Any]] = []

    def ended() -> bool:
        told.append(ask("GET", "/queue/{job_id}", **place).json())
        return bool(told[-1]["state"] == "done")

    wait_until(ended, 60)
    assert ("lora" in told[-1]) == (path == "/training")
    assert any("loss" in one for one in told[:-1]) == (path == "/training")


def test_all_answers_about_a_job_that_fails_are_those_of_the_document(ask: Ask) -> None:
    job = ask("POST", "/txt2img", {"prompt": "a #fail@1"}).json()["job_id"]
    place = {"path_parameters": {"job_id": job}}

    assert "event: failed" in ask("GET", "/queue/{job_id}/events", **place).text
    assert ask("DELETE", "/queue/{job_id}", **place).status_code == 409
    assert ask("GET", "/queue/{job_id}", **place).json()["state"] == "error"
    assert ask("GET", "/queue/{job_id}", **place).status_code == 404


def test_all_answers_about_a_running_job_that_is_cancelled_are_those_of_the_document(ask: Ask) -> None:
    body = {"prompt": "a", "steps": 1000, "hires": {"enabled": True, "scale": 1.5, "steps": 1000}}
    job = ask("POST", "/txt2img", body).json()["job_id"]
    place = {"path_parameters": {"job_id": job}}
    wait_until(lambda: ask("GET", "/queue").json()["running"], 30)
    assert ask("GET", "/queue/{job_id}", **place).json()["state"] == "processing"

    assert ask("DELETE", "/queue/{job_id}", **place).json()["state"] == "cancelling"
    last = ask("GET", "/queue/{job_id}", query={"wait": 30}, **place).json()
    assert (last["state"], last["current_phase"]) == ("error", "cancelled")


def test_all_answers_about_a_waiting_job_are_those_of_the_document(ask_idle: Ask) -> None:
    job = ask_idle("POST", "/txt2img", {"prompt": "a"}).json()["job_id"]
    place = {"path_parameters": {"job_id": job}}

    assert ask_idle("GET", "/queue").json()["waiting"][0]["position"] == 1
    assert ask_idle("GET", "/queue/{job_id}", **place).json()["state"] == "queued"
    assert ask_idle("DELETE", "/queue/{job_id}", **place).json()["state"] == "cancelled"
    assert "event: cancelled" in ask_idle("GET", "/queue/{job_id}/events", **place).text


def test_all_answers_along_the_life_of_a_v3_request_are_those_of_the_document(ask: Ask) -> None:
    def fetch(number: int) -> Any:
        place = {"path_parameters": {"request_id": str(number)}}
        return ask("POST", "/api/v3/fetch/{request_id}", {"key": KEY}, **place).json()

    made = ask("POST", "/api/v3/text2img", {"key": KEY, "prompt": "a", "num_inference_steps": 4}).json()
    assert made["status"] == "processing"
    wait_until(lambda: fetch(made["id"])["status"] == "success", 30)
    picture = {"path_parameters": {"name": made["future_links"][0].rpartition("/")[2]}}
    assert ask("GET", "/generations/{name}", **picture).status_code == 200

    failing = ask("POST", "/api/v3/text2img", {"key": KEY, "prompt": "a #fail@1"}).json()
    wait_until(lambda: fetch(failing["id"])["status"] == "failed", 30)


def test_the_answer_of_a_full_queue_is_that_of_the_document(ask_idle: Ask) -> None:
    ask_idle("POST", "/txt2img", {"prompt": "a"})
    assert ask_idle("POST", "/txt2img", {"prompt": "a"}).status_code == 429


def test_the_answer_to_a_reused_idempotency_key_is_that_of_the_document(ask_idle: Ask) -> None:
    key = {"headers": {"Idempotency-Key": "one"}}
    ask_idle("POST", "/txt2img", {"prompt": "a"}, **key)
    assert ask_idle("POST", "/txt2img", {"prompt": "b"}, **key).status_code == 422


def test_the_answer_to_a_body_that_is_too_large_is_that_of_the_document(ask_idle: Ask) -> None:
    assert ask_idle("POST", "/txt2img", {"prompt": "a" * 2**20}).status_code == 413


def test_the_answer_to_a_body_that_is_not_json_is_that_of_the_document(ask_idle: Ask) -> None:
    assert ask_idle("POST", "/txt2img", b'{"prompt":').status_code == 400
