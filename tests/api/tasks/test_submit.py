"""Parameters: their defaults, their limits, and how what is wrong with them is said."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from diffusionapi.main import create_app
from tests import stubs
from tests.api.tasks.client import Json, a_png
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from httpx2 import Response

    from diffusionapi.service import Service
    from diffusionapi.settings import Settings

    App = Callable[..., TestClient]


@pytest.fixture
def start(settings: Settings) -> Iterator[App]:
    """An app in this process that asks for no token."""
    running: list[TestClient] = []

    def started(**changed: Any) -> TestClient:
        app = create_app(settings.model_copy(update={"enable_public_access": True} | changed))
        running.append(TestClient(app))
        return running[-1].__enter__()

    yield started
    for one in running:
        one.__exit__(None, None, None)


@pytest.fixture
def idle(start: App) -> TestClient:
    return start(workers=0)


def get(client: TestClient, path: str, **params: Any) -> Response:
    return client.get(path, params=params)


def submitted(client: TestClient, **params: Any) -> Json:
    """The parameters of a task as the server keeps them for its answer."""
    answer = client.post("/task", json=params)
    assert answer.status_code == 200, answer.text
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    found: Json = service.store.ticket(answer.json()).payload["params"]
    return found


def problem(client: TestClient, **params: Any) -> Json:
    """The one thing that is wrong."""
    answer = client.post("/task", json=params)
    assert answer.status_code == 422, answer.text
    (found,) = answer.json()["detail"]
    assert list(found) == ["loc", "msg", "type"]
    return dict(found)


def ended(client: TestClient, task: str) -> Json:
    def event() -> Json:
        return dict(client.get(f"/task/{task}").json())

    wait_until(lambda: event()["event_type"] in ("finished", "aborted"), 20)
    return event()


def test_txt2img_has_the_documented_defaults_in_their_order(idle: TestClient) -> None:
    assert list((submitted(idle, prompt="p", seed=1) | {"model": ""}).items()) == [
        ("params_type", "txt2img"),
        ("model", ""),
        ("prompt", "p"),
        ("negative_prompt", None),
        ("steps", 20),
        ("guidance", 7.5),
        ("scheduler", "plms"),
        ("safety_filter", True),
        ("seed", 1),
        ("width", 512),
        ("height", 512),
    ]


def test_img2img_and_inpaint_have_the_documented_defaults_in_their_order(idle: TestClient) -> None:
    url = idle.post("/blob", files={"blob_data": a_png()}).json()
    common = ["params_type", "model", "prompt", "negative_prompt", "steps", "guidance", "scheduler"]
    common += ["safety_filter", "seed", "initial_image"]
    img2img = submitted(idle, prompt="p", initial_image=url)
    assert list(img2img) == [*common, "strength"]
    assert (img2img["params_type"], img2img["strength"]) == ("img2img", 0.8)
    inpaint = submitted(idle, prompt="p", initial_image=url, mask=url)
    assert list(inpaint) == [*common, "mask"]
    assert inpaint["params_type"] == "inpaint"


def test_the_documented_models_are_used_when_they_are_installed(start: App, tmp_path: Path) -> None:
    for name in ("CompVis__stable-diffusion-v1-4", "models--runwayml--stable-diffusion-inpainting"):
        folder = tmp_path / "stable_diffusion/models" / name
        stubs.a_model(folder / "snapshots/1" if name.startswith("models--") else folder)
    client = start(workers=0)
    url = client.post("/blob", files={"blob_data": a_png()}).json()
    assert submitted(client, prompt="p")["model"] == "CompVis/stable-diffusion-v1-4"
    assert (
        submitted(client, prompt="p", initial_image=url, mask=url)["model"]
        == "runwayml/stable-diffusion-inpainting"
    )
    for spelling in (
        "stable-diffusion-v1-4",
        "CompVis__stable-diffusion-v1-4",
        str(tmp_path / "stable_diffusion/models/CompVis__stable-diffusion-v1-4"),
    ):
        assert submitted(client, prompt="p", model=spelling)["model"] == spelling


def test_a_default_model_that_is_missing_is_replaced_by_the_server_s(idle: TestClient) -> None:
    for params in ({}, {"model": "CompVis/stable-diffusion-v1-4"}):
        assert submitted(idle, prompt="p", **params)["model"] == "fake"


@pytest.mark.parametrize(
    ("given", "kept"),
    [({"steps": "5"}, 5), ({"guidance": "1"}, 1.0), ({"seed": "0"}, 0), ({"seed": 2**63 - 1}, 2**63 - 1)],
)
def test_values_are_read_as_leniently_as_the_original_reads_them(
    idle: TestClient, given: Json, kept: object
) -> None:
    (name,) = given
    assert submitted(idle, prompt="p", **given)[name] == kept


@pytest.mark.parametrize("said", ["false", "0", "off", False])
def test_the_safety_filter_is_turned_off_in_every_spelling(idle: TestClient, said: object) -> None:
    assert submitted(idle, prompt="p", safety_filter=said)["safety_filter"] is False


@pytest.mark.parametrize(
    ("params", "field", "kind"),
    [
        ({}, "prompt", "missing"),
        ({"prompt": None}, "prompt", "string_type"),
        ({"prompt": "p", "hue": 1}, "hue", "extra_forbidden"),
        ({"prompt": "p", "token": "t"}, "token", "extra_forbidden"),
        ({"prompt": "p", "steps": 0}, "steps", "greater_than_equal"),
        ({"prompt": "p", "steps": "many"}, "steps", "int_parsing"),
        ({"prompt": "p", "guidance": 0.9}, "guidance", "greater_than_equal"),
        ({"prompt": "p", "scheduler": "Euler"}, "scheduler", "literal_error"),
        ({"prompt": "p", "scheduler": "PLMS"}, "scheduler", "literal_error"),
        ({"prompt": "p", "seed": -1}, "seed", "greater_than_equal"),
        ({"prompt": "p", "width": 500}, "width", "multiple_of"),
        ({"prompt": "p", "height": 0}, "height", "greater_than_equal"),
        ({"prompt": "p", "width": 4096}, "width", "value_error"),
        ({"prompt": "p", "model": "no-such-model"}, "model", "value_error"),
        ({"prompt": "p", "strength": 0.5}, "initial_image", "missing"),
        ({"prompt": "p", "initial_image": "/blob/x", "strength": 1.1}, "strength", "less_than_equal"),
        ({"prompt": "p", "initial_image": "/blob/x", "width": 64}, "width", "extra_forbidden"),
        ({"prompt": "p", "initial_image": "/x", "mask": "/x", "strength": 1}, "strength", "extra_forbidden"),
        ({"prompt": "p", "mask": "/blob/x"}, "initial_image", "missing"),
        ({"prompt": "p", "params_type": "img2img"}, "initial_image", "missing"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(idle: TestClient, params: Json, field: str, kind: str) -> None:
    found = problem(idle, **params)
    assert (found["loc"], found["type"]) == (["body", field], kind)


def test_a_kind_that_is_none_is_refused(idle: TestClient) -> None:
    found = problem(idle, prompt="p", params_type="txt2vid")
    assert found["loc"] == ["body"]
    assert "txt2vid" in found["msg"]


@pytest.mark.parametrize("body", ["", "{", "[]", "3", '"prompt"', "null", '{"prompt": "p"', "\xff"])
def test_a_body_that_is_no_object_in_json_is_refused_in_the_same_shape(idle: TestClient, body: str) -> None:
    answer = idle.post("/task", content=body.encode("latin-1"))
    assert answer.status_code == 422, answer.text
    assert all(list(one) == ["loc", "msg", "type"] for one in answer.json()["detail"])


def test_a_body_is_json_whatever_it_is_called(idle: TestClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert idle.post("/task", content='{"prompt": "p"}', headers=headers).status_code == 200


def test_a_query_ignores_what_it_does_not_know_and_says_its_own_place(idle: TestClient) -> None:
    answer = idle.get("/txt2img", params={"prompt": "p", "token": "", "hue": 1, "steps": 0})
    assert answer.status_code == 422
    assert [one["loc"] for one in answer.json()["detail"]] == [["query", "steps"]]
    answer = idle.get("/txt2img", params={"prompt": "p", "model": "no-such-model"})
    assert [one["loc"] for one in answer.json()["detail"]] == [["query", "model"]]


def test_a_full_queue_says_when_to_try_again(start: App) -> None:
    client = start(workers=0, queue_limit=1)
    client.post("/task", json={"prompt": "p"})
    answer = client.post("/task", json={"prompt": "p"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    assert "full" in answer.json()["detail"]


@pytest.mark.parametrize("scheduler", ["plms", "ddim", "k-lms"])
def test_one_step_is_a_step_whatever_the_scheduler(start: App, scheduler: str) -> None:
    params = {"prompt": "p", "steps": 1, "width": 64, "height": 64, "scheduler": scheduler}
    answer = get(start(), "/txt2img", **params)
    assert answer.status_code == 200, answer.text
    assert answer.json()["parameters_used"]["scheduler"] == scheduler


@pytest.mark.parametrize(
    ("scheduler", "sampler", "schedule"),
    [("plms", "PLMS", "own"), ("ddim", "DDIM", "own"), ("k-lms", "LMS", "default")],
)
def test_schedulers_are_the_samplers_they_are_named_for(
    idle: TestClient, scheduler: str, sampler: str, schedule: str
) -> None:
    task = idle.post("/task", json={"prompt": "p", "scheduler": scheduler}).json()
    service: Service = idle.app.state.service  # type: ignore[attr-defined]
    request = service.store.ticket(task).generation
    assert (request.sampler, request.schedule) == (sampler, schedule)


def test_a_picture_inside_the_parameters_is_told_as_a_url(start: App) -> None:
    client = start()
    inline = "data:image/png;base64," + base64.b64encode(a_png(72, 40)).decode()
    answer = client.get("/img2img", params={"prompt": "p", "steps": 2, "initial_image": inline})
    assert answer.status_code == 200, answer.text
    url = answer.json()["parameters_used"]["initial_image"]
    assert url.startswith("http://testserver/blob/")
    assert client.get(url).status_code == 200


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://testserver/blob/eyJx", "Internal error: Blob not found: http://testserver/blob/eyJx"),
        ("http://127.0.0.1/a.png", "Internal error: initial_image: no picture could be had from this URL"),
        ("data:image/png;base64,AAAA", "Internal error: initial_image: "),
        ("file:///etc/passwd", "Internal error: initial_image: "),
    ],
)
def test_a_picture_that_cannot_be_had_aborts_the_task(start: App, url: str, reason: str) -> None:
    client = start()
    params = {"prompt": "p", "initial_image": url}
    task = client.post("/task", json=params).json()
    assert ended(client, task)["reason"].startswith(reason)
    answer = get(client, "/img2img", **params)
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith(reason)


def test_a_failed_task_says_why(start: App) -> None:
    client = start()
    task = client.post("/task", json={"prompt": "#fail@1", "width": 64, "height": 64}).json()
    said = "Internal error: The prompt asked the fake engine to fail"
    assert ended(client, task) == {"event_type": "aborted", "task_id": task, "reason": said}
    answer = client.get("/txt2img", params={"prompt": "#fail@1", "width": 64, "height": 64})
    assert (answer.status_code, answer.json()) == (500, {"detail": said})


def test_answers_with_results_say_whether_anything_was_checked(start: App) -> None:
    client = start()
    params = {"prompt": "p", "steps": 2, "width": 64, "height": 64}
    assert get(client, "/txt2img", **params).headers["X-Safety-Checked"] == "false"
    task = client.post("/task", json=params).json()
    ended(client, task)
    assert client.get(f"/task/{task}").headers["X-Safety-Checked"] == "false"


@pytest.fixture
def checker(tmp_path: Path) -> None:
    folder = tmp_path / "stable_diffusion/safety_checker"
    stubs.a_file(folder / "model.safetensors", {})
    (folder / "config.json").write_text("{}")


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize(
    ("policy", "asked", "checked"),
    [
        ("asked", True, "true"),
        ("asked", False, "false"),
        ("available", False, "true"),
        ("required", False, "true"),
    ],
)
def test_a_checker_that_is_installed_looks_as_asked_or_always(
    start: App, policy: str, asked: bool, checked: str
) -> None:
    client = start(safety=policy)
    params = {"prompt": "p", "steps": 2, "width": 64, "height": 64, "safety_filter": asked}
    assert get(client, "/txt2img", **params).headers["X-Safety-Checked"] == checked
    assert client.get("/capabilities").json()["safety"] == {
        "policy": policy,
        "checker": True,
        "models": ["fake"],
    }


def test_a_server_that_requires_a_checker_and_has_none_draws_nothing(start: App) -> None:
    client = start(safety="required")
    found = problem(client, prompt="p", safety_filter=False)
    assert found["loc"] == ["body", "safety_filter"]
    assert client.get("/capabilities").json()["safety"]["checker"] is False
