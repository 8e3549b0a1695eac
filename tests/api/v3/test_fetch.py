"""What becomes of a request that is not waited for: processing, fetch, links."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from diffusionapi.core.events import Failed, Failure, Finished, Picture, Sampled, Started
from diffusionapi.main import create_app
from tests.api.v3.house import FAILED, NO_REQUEST, House, a_png, v3_settings
from tests.claims import claim_of
from tests.server import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.core.events import Event

FETCHES = ["/api/v3/fetch/{id}", "/api/v3/dreambooth/fetch/{id}", "/api/v3/fetch/{id}/"]


def fetch(house: House, number: object, path: str = FETCHES[0]) -> dict[str, Any]:
    return house.ask(path.format(id=number))


def work(house: House, answer: dict[str, Any], *ends: Event | None) -> None:
    """Bring the jobs of a request to these ends, as a worker would; a picture for None."""
    store, blobs = house.service.store, house.service.blobs
    for place, end in enumerate(ends):
        job_id = house.state.ids.of(answer["id"], place)
        claim = claim_of(store, job_id)
        claim.record(Started(1, "w"))
        if end is None:
            blobs.put(f"{job_id}.png", a_png())
            end = Finished(Picture(f"{job_id}.png", "png", 64, 64, None, 1, "fake", 1.5, 0, 0))
        claim.record(end)
        claim.release()


# --- processing -------------------------------------------------------------------------------------------


def test_the_answer_when_there_is_no_picture_yet(idle: House) -> None:
    answer = idle.make(samples=2, enhance_prompt="no")
    assert list(answer) == [
        *("status", "tip", "eta", "messege", "message", "webhook_status", "fetch_result", "id", "output"),
        *("meta", "future_links"),
    ]
    assert answer["status"] == "processing"
    assert isinstance(answer["eta"], float)
    assert answer["eta"] > 0
    assert answer["messege"] == answer["message"] == "Try to fetch request after given estimated time"
    assert answer["webhook_status"] == ""
    assert answer["fetch_result"] == f"http://testserver/api/v3/fetch/{answer['id']}"
    assert answer["output"] == []
    assert answer["meta"]["prompt"] == "a lighthouse"
    assert answer["future_links"] == [
        f"http://testserver/generations/{answer['meta']['file_prefix']}-{place}.png" for place in (0, 1)
    ]


def test_results_of_models_are_fetched_at_their_own_place(idle: House) -> None:
    answer = idle.make("/api/v4/dreambooth", model_id="fake")
    assert answer["fetch_result"] == f"http://testserver/api/v3/dreambooth/fetch/{answer['id']}"


def test_the_wait_is_as_long_as_the_operator_says(tmp_path: Path) -> None:
    with TestClient(create_app(v3_settings(tmp_path, workers=0, v3_wait=0.3))) as client:
        began = time.monotonic()
        assert House(client).make()["status"] == "processing"
        assert 0.3 <= time.monotonic() - began < 10


def test_what_ends_while_it_is_waited_for_is_answered_at_once(tmp_path: Path) -> None:
    with TestClient(create_app(v3_settings(tmp_path, workers=0, v3_wait=60.0))) as client:
        house, answers = House(client), list[dict[str, Any]]()
        asking = threading.Thread(target=lambda: answers.append(house.make()))
        asking.start()
        wait_until(lambda: house.service.store.listing(1).waiting_total, 10)
        (ticket,) = house.service.store.living()
        work(house, {"id": ticket.payload["number"]}, None)
        asking.join(10)
        assert answers[0]["status"] == "success"


# --- fetch ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FETCHES)
def test_not_ready(idle: House, path: str) -> None:
    made = idle.make()
    answer = fetch(idle, made["id"], path)
    eta = answer.pop("eta")
    assert eta > 0
    assert answer == {
        "status": "processing",
        "id": made["id"],
        "messege": "Request processing",
        "message": "Request processing",
        "output": "",
    }


@pytest.mark.parametrize("path", ["/api/v4/dreambooth/fetch", "/api/v4/dreambooth/fetch/"])
@pytest.mark.parametrize("spelt", [int, str])
def test_by_the_id_in_the_body(idle: House, path: str, spelt: type) -> None:
    made = idle.make()
    assert idle.ask(path, request_id=spelt(made["id"]))["id"] == made["id"]
    assert idle.ask(path)["message"] == {"request_id": ["The request id field is required."]}


def test_ready_and_again_and_by_every_path(idle: House) -> None:
    made = idle.make(samples=2)
    work(idle, made, None, None)
    ready = {"status": "success", "id": made["id"], "output": made["future_links"]}
    for path in [*FETCHES, *FETCHES]:
        assert fetch(idle, made["id"], path) == ready
    for url in made["future_links"]:
        assert idle.picture(url).size == (64, 64)


def test_what_was_answered_at_once_can_be_fetched(house: House) -> None:
    made = house.make()
    assert fetch(house, made["id"]) == {"status": "success", "id": made["id"], "output": made["output"]}


def test_failed(idle: House) -> None:
    made = idle.make()
    work(idle, made, Failed(Failure("x", "It broke")))
    assert fetch(idle, made["id"]) == FAILED | {"tip": "It broke"}


def test_of_several_pictures_those_that_were_made_are_told(idle: House) -> None:
    made = idle.make(samples=2)
    work(idle, made, Failed(Failure("x", "It broke")), None)
    answer = fetch(idle, made["id"])
    assert (answer["status"], answer["output"]) == ("success", [made["future_links"][1]])
    assert answer["tip"] == "It broke"


def test_that_nothing_was_painted_is_told_once_and_a_step_more_is_not(idle: House) -> None:
    def told(steps: int, notice: str) -> str | None:
        made = idle.make(samples=2)
        how = Sampled("UniPC", "own", 1, steps, notices=(notice,))
        end = Finished(Picture("a.png", "png", 64, 64, None, 1, "fake", 1.5, 0, 0, how))
        work(idle, made, end, end)
        tip: str | None = fetch(idle, made["id"]).get("tip")
        return tip

    assert told(0, "The mask has no white in it") == "The mask has no white in it"
    assert told(22, "UniPC made 22 steps, not 21") is None


def test_one_that_was_taken_back(idle: House) -> None:
    made = idle.make()
    idle.service.store.cancel(idle.state.ids.of(made["id"]))
    assert fetch(idle, made["id"]) == FAILED | {"tip": "The request was cancelled"}


@pytest.mark.parametrize("number", [1, "none", "0" * 40, "-1", "1e3", "٣"])
def test_one_that_never_was(idle: House, number: object) -> None:
    assert fetch(idle, number) == NO_REQUEST


def test_one_of_another_dialect(idle: House) -> None:
    job_id = idle.client.post("/txt2img", json={"prompt": "a lighthouse"}).json()["job_id"]
    assert fetch(idle, job_id) == NO_REQUEST


# --- links ------------------------------------------------------------------------------------------------


def test_a_link_leads_nowhere_before_the_picture_is_there(idle: House) -> None:
    made = idle.make(samples=2)
    (first, second) = made["future_links"]
    assert idle.client.get(first).status_code == 404
    work(idle, made, None)
    assert idle.client.get(first).status_code == 200
    assert idle.client.get(second).status_code == 404


def test_a_link_cannot_be_made_from_the_number(idle: House) -> None:
    made = idle.make()
    work(idle, made, None)
    guessed = re.sub("generations/........", "generations/00000000", made["future_links"][0])
    assert guessed != made["future_links"][0]
    answer = idle.client.get(guessed)
    assert (answer.status_code, answer.json()) == (404, {"status": "error", "message": "Not found"})
    assert idle.client.get(made["future_links"][0].replace("-0.png", "-1.png")).status_code == 404


def test_a_link_knows_parts_and_heads(house: House) -> None:
    (url,) = house.make()["output"]
    head, whole = house.client.head(url), house.client.get(url)
    assert head.headers["Content-Length"] == str(len(whole.content))
    part = house.client.get(url, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, whole.content[:10])


def test_pictures_go_with_their_jobs(idle: House) -> None:
    made = idle.make()
    work(idle, made, None)
    service = idle.service
    service.sweep_pictures(ended_before=time.time() + 1)
    service.store.sweep(ended_before=time.time() + 1)
    assert idle.client.get(made["future_links"][0]).status_code == 404
