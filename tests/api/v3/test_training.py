"""Trainings on the wire: what is begun, what is told of it, and to whom."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.weights import lora_kind, trained
from tests.api.backlog.receiver import Receiver
from tests.api.v3.house import House, a_png, as_base64
from tests.api.v3.teaching import (
    a_house,
    asked,
    begin,
    end,
    listed,
    neighbour,
    pictures,
    refusal,
    status,
    try_to_begin,
)
from tests.server import wait_until
from tests.stubs import a_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENTED = [
    "deploying_gpu",
    "training_started",
    "training_success",
    "trained_model_compressing",
    "trained_model_uploading",
    "trained_model_uploaded",
    "deploying_model",
    "model_ready",
]
"""In the order of the API's own documents."""
CLASS = {"class_prompt": "photo of a dog", "num_class_images": 2}


# --- the whole way ------------------------------------------------------------------------------------------


def test_a_training_leaves_a_lora_by_its_id(house: House) -> None:
    training_id = begin(house, **CLASS)
    ended = end(house, training_id)

    assert ended["status"] == "success"
    for name in ("messege", "message", "training_status", "model_training_status"):
        assert ended[name] == "model_ready"
    assert ended["training_id"] == ended["model_id"] == training_id
    file = house.service.settings.path("stable_diffusion/loras") / f"{training_id}.safetensors"
    assert "sd1" in lora_kind.inspect(file).families
    said = trained.read(file)
    assert said is not None
    assert (said.model, said.instance_prompt) == ("fake", "photo of sks dog")


def test_the_answer_to_the_request_is_as_documented(idle: House) -> None:
    answer = try_to_begin(idle, max_train_steps="2000")
    assert (answer["status"], answer["messege"]) == ("success", "deploying_gpu")
    assert answer["model_id"] == answer["training_id"]
    assert len(answer["training_id"]) == 10
    assert answer["training_id"].isalnum()
    assert "2000 steps" in answer["data"]


def test_its_id_is_a_model_and_a_lora_from_then_on(house: House) -> None:
    training_id = begin(house)
    end(house, training_id)
    small = {"width": 64, "height": 64, "num_inference_steps": 3, "enhance_prompt": "no"}
    for named in ({"model_id": training_id}, {"model_id": "fake", "lora_model": training_id}):
        answer = house.ask("/api/v3/dreambooth", prompt="on a beach", **named, **small)
        assert answer["status"] == "success", answer
    answer = house.ask("/api/v3/dreambooth", prompt="on a beach", model_id=training_id, **small)
    assert answer["meta"]["prompt"].startswith("photo of sks dog")


def test_the_log_tells_of_each_step_and_its_loss(house: House) -> None:
    log = end(house, begin(house, max_train_steps=4))["data"].splitlines()
    steps = [line for line in log if line.startswith("Step ")]
    assert [line.partition(",")[0] for line in steps] == [f"Step {step} of 4" for step in range(1, 5)]
    losses = [float(line.rpartition(" ")[2]) for line in steps]
    assert all(loss > 0 for loss in losses)
    assert log[-1].startswith("Finished: 4 steps")


def test_statuses_come_in_the_documented_order(tmp_path: Path) -> None:
    with a_house(tmp_path, fake_step_seconds=0.1) as house:
        training_id = begin(house, max_train_steps=20)
        seen: list[str] = []
        while not seen or seen[-1] != "model_ready":
            seen.append(status(house, training_id)["messege"])
    places = [DOCUMENTED.index(one) for one in seen]
    assert all(before <= after for before, after in pairwise(places))
    assert {"training_started", "model_ready"} <= set(seen)


def test_a_webhook_is_told_each_status_in_the_documented_order(tmp_path: Path) -> None:
    with Receiver() as receiver, a_house(tmp_path) as house:
        training_id = begin(house, webhook=f"{receiver.url}/notify")
        wait_until(lambda: len(receiver.told) >= len(DOCUMENTED), 60)
        told = receiver.told
    assert [one["training_status"] for one in told] == DOCUMENTED
    for one in told:
        assert (one["status"], one["model_id"], type(one["logs"])) == ("success", training_id, str)
    assert "Finished" in told[-1]["logs"]


def test_a_training_that_fails_says_why_to_whoever_asks_and_to_the_webhook(tmp_path: Path) -> None:
    with Receiver() as receiver, a_house(tmp_path) as house:
        training_id = begin(house, instance_prompt="#fail@2", webhook=f"{receiver.url}/notify")
        ended = end(house, training_id)
        wait_until(lambda: len(receiver.told) >= 3, 60)
    assert (ended["status"], ended["messege"]) == ("failed", "training_failed")
    assert ended["data"].endswith("asked the fake engine to fail")
    assert [one["training_status"] for one in receiver.told] == [*DOCUMENTED[:2], "training_failed"]
    assert receiver.told[-1]["status"] == "failed"


# --- what is asked for --------------------------------------------------------------------------------------


def test_fine_tune_is_a_lora_of_the_usual_rank_and_rate(idle: House) -> None:
    """Rank and rate are those of diffusers' `train_dreambooth_lora`, as its README has them."""
    request = asked(idle, begin(idle, max_train_steps="700", seed="0"))
    assert (request.steps, request.seed, request.rank, request.alpha) == (700, 0, 16, 16.0)
    assert (request.rate, request.text_encoder_rate, request.text_encoder_steps) == (1e-4, 0.0, 0)
    assert (request.class_prompt, request.class_pictures) == (None, 0)
    assert (request.instance_prompt, request.model, request.size) == ("photo of sks dog", "fake", 512)
    assert len(request.pictures) == 3


@pytest.mark.parametrize(("count", "steps"), [(3, 300), (7, 700), (30, 2000)])
def test_without_a_number_there_are_a_hundred_steps_a_picture(idle: House, count: int, steps: int) -> None:
    assert asked(idle, begin(idle, images=pictures(count), max_train_steps="")).steps == steps


def test_fine_tune_v2_obeys_the_clients_numbers_and_says_what_it_thinks_of_them(idle: House) -> None:
    """The numbers are those of the API's own example, which were made for whole models."""
    body = {
        "instance_prompt": "photo of sks dog",
        "images": pictures(3),
        "learning_rate_unet": "2e-6",
        "steps_unet": "1500",
        "learning_rate_text_encoder": "1e-6",
        "steps_text_encoder": "350",
    }
    answer = idle.ask("/api/v3/fine_tune_v2", **body)
    request = asked(idle, answer["training_id"])
    assert (request.rate, request.steps) == (2e-6, 1500)
    assert (request.text_encoder_rate, request.text_encoder_steps) == (1e-6, 350)
    assert "0.0001 is usual" in answer["data"]
    assert "0.0001 is usual" in status(idle, answer["training_id"])["data"]


def test_fine_tune_v2_without_numbers_has_those_of_a_lora(idle: House) -> None:
    request = asked(idle, begin(idle, "fine_tune_v2"))
    assert (request.rate, request.steps) == (1e-4, 1500)
    assert (request.text_encoder_rate, request.text_encoder_steps) == (5e-5, 350)


@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        ({"training_type": "men"}, "photo of a man"),
        ({"training_type": "female"}, "photo of a woman"),
        ({"training_type": "couple"}, "photo of a couple"),
        ({"training_type": "null"}, None),
        ({"training_type": "men", "class_prompt": "photo of person"}, "photo of person"),
        ({"class_prompt": "photo of person"}, "photo of person"),
        ({"class_prompt": "photo of person", "num_class_images": 0}, None),
    ],
)
def test_a_type_stands_for_a_class_prompt_where_there_is_none(
    idle: House, given: dict[str, Any], prompt: str | None
) -> None:
    request = asked(idle, begin(idle, negative_prompt="blurry", **given))
    assert request.class_prompt == prompt
    assert request.class_pictures == (50 if prompt else 0)
    assert request.class_negative_prompt == "blurry"


def test_a_seed_that_is_left_open_is_drawn(idle: House) -> None:
    assert len({asked(idle, begin(idle)).seed for _ in range(4)}) == 4


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """With the three families and what can learn nothing."""
    place = tmp_path_factory.mktemp("models")
    folder = place / "stable_diffusion/models"
    for family in ("sd1", "sd2", "sdxl", "refiner"):
        a_model(folder / family, family)
    hole = a_model(folder / "hole", "sd1")
    config = hole / "unet/config.json"
    config.write_text(config.read_text().replace('"in_channels": 4', '"in_channels": 9'))
    with a_house(place, workers=0, default_model="sd2") as house:
        yield house


@pytest.mark.parametrize(
    ("route", "named", "model", "size"),
    [
        ("fine_tune", {}, "sd2", 512),
        ("fine_tune", {"base_model_id": "sd1"}, "sd1", 512),
        ("fine_tune_v2", {"base_model_id": "sdxl"}, "sdxl", 1024),
        ("lora_fine_tune", {}, "sd2", 512),
        ("lora_fine_tune", {"base_model_type": "normal"}, "sd2", 512),
        ("lora_fine_tune", {"base_model_type": "sdxl"}, "sdxl", 1024),
        ("lora_fine_tune", {"base_model_type": "sdxl", "base_model_id": "sd1"}, "sd1", 512),
    ],
)
def test_the_model_is_that_of_the_request_and_pictures_come_to_its_size(
    models: House, route: str, named: dict[str, str], model: str, size: int
) -> None:
    request = asked(models, begin(models, route, **named))
    assert (request.model, request.size) == (model, size)


def test_pictures_come_in_any_form(house: House) -> None:
    small = {"width": 64, "height": 64, "num_inference_steps": 1}
    made = house.ask("/api/v3/text2img", prompt="a dog", **small)["output"]
    images = [*made, "data:image/png;base64," + as_base64(a_png()), as_base64(a_png())]
    end(house, begin(house, images=images))


@pytest.mark.parametrize("name", ["images", "images[]"])
def test_a_form_is_as_good_as_json(house: House, name: str) -> None:
    form = {
        "key": house.key,
        "instance_prompt": "photo of sks dog",
        name: pictures(3),
        "max_train_steps": "2",
        "class_prompt": "",
        "training_type": "null",
        "webhook": "null",
    }
    answer = house.client.post("/api/v3/fine_tune/", data=form)
    end(house, answer.json()["training_id"])


def test_its_id_is_unknown_from_the_moment_it_is_deleted(tmp_path: Path) -> None:
    with a_house(tmp_path) as house:
        training_id = begin(house)
        end(house, training_id)
        small = {"prompt": "on a beach", "width": 64, "height": 64, "num_inference_steps": 1}
        assert house.ask("/api/v3/dreambooth", model_id=training_id, **small)["status"] == "success"
        assert house.ask(f"/api/v3/finetune/delete/{training_id}")["status"] == "success"
        answer = house.ask("/api/v3/dreambooth", model_id=training_id, **small)
        assert (answer["status"], answer["message"]) == ("error", "Model id not found")
        assert "safetensors" not in answer["tip"]
        answer = house.ask("/api/v3/dreambooth", model_id="fake", lora_model=training_id, **small)
        assert answer["message"] == f"Lora model not found: {training_id}"


# --- what is refused ----------------------------------------------------------------------------------------


def test_all_that_is_missing_is_listed(idle: House) -> None:
    assert refusal(idle.ask("/api/v3/fine_tune")) == {
        "instance_prompt": ["The instance prompt field is required."],
        "images": ["The images field is required."],
    }


def test_the_key_is_looked_at_before_the_fields(idle: House) -> None:
    answer = idle.client.post("/api/v3/fine_tune", json={"key": "none"}).json()
    assert refusal(answer) == "Invalid Api Key"


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"images": pictures(2)}, "images", "The images must have 3 to 50 items."),
        ({"images": [as_base64(a_png())] * 51}, "images", "The images must have 3 to 50 items."),
        ({"max_train_steps": "2001"}, "max_train_steps", "The max train steps must be between 1 and 2000."),
        ({"training_type": "dog"}, "training_type", "The training type must be 'men', 'female' or 'couple'."),
        ({"num_class_images": 201}, "num_class_images", "must be between 0 and 200."),
        ({"webhook": "ftp://example.com"}, "webhook", "must be a URL"),
        ({"seed": -1}, "seed", "The seed must be between 0 and 4294967295."),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(
    idle: House, fields: dict[str, object], field: str, said: str
) -> None:
    message = refusal(try_to_begin(idle, **fields))
    assert list(message) == [field]
    assert said in message[field][0]


@pytest.mark.parametrize("picture", ["http://127.0.0.1:1/dog.png", "/generations/none.png"])
def test_a_url_that_gives_no_picture_is_told_as_everywhere_and_nothing_is_begun(
    idle: House, picture: str
) -> None:
    before = listed(idle), len(list(idle.service.store.living()))
    answer = try_to_begin(idle, images=[*pictures(2), picture, *pictures(2)])
    assert refusal(answer) == "Unable to fetch image from provided URL"
    assert answer["tip"].startswith("images.2: ")
    assert (listed(idle), len(list(idle.service.store.living()))) == before


@pytest.mark.parametrize("picture", ["no picture", as_base64(b"GIF89a")])
def test_the_picture_that_cannot_be_had_is_named_and_nothing_is_begun(idle: House, picture: str) -> None:
    images = [*pictures(2), picture, *pictures(2)]
    before = listed(idle), len(list(idle.service.store.living()))
    assert list(refusal(try_to_begin(idle, images=images))) == ["images.2"]
    assert (listed(idle), len(list(idle.service.store.living()))) == before


def test_a_model_that_is_not_there_is_not_found(models: House) -> None:
    answer = try_to_begin(models, base_model_id="sd9")
    assert refusal(answer) == "Model id not found"
    assert "sd1" in answer["tip"]


@pytest.mark.parametrize(("model", "said"), [("refiner", "refiner"), ("hole", "inpainting")])
def test_a_model_that_nothing_can_be_learnt_on_is_refused(models: House, model: str, said: str) -> None:
    assert said in refusal(try_to_begin(models, base_model_id=model))["base_model_id"][0]


def test_other_kinds_of_adapters_are_refused(idle: House) -> None:
    answer = try_to_begin(idle, "lora_fine_tune", lora_type="lycoris")
    assert "trains LoRAs only" in refusal(answer)["lora_type"][0]


def test_a_kind_of_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with a_house(tmp_path, workers=0) as house:
        answer = try_to_begin(house, "lora_fine_tune", base_model_type="sdxl")
    assert "'sdxl' is installed" in refusal(answer)["base_model_type"][0]


def test_a_queue_that_is_full_leaves_no_training(tmp_path: Path) -> None:
    with a_house(tmp_path, workers=0, queue_limit=1) as house:
        first = begin(house)
        assert refusal(try_to_begin(house)) == "Rate limit exceeded"
        assert listed(house) == [first]


def test_the_same_request_again_and_again_is_too_often_but_asking_is_not(tmp_path: Path) -> None:
    with a_house(tmp_path, workers=0, v3_repeats=2) as house:
        answers = [try_to_begin(house) for _ in range(3)]
        assert [one["status"] for one in answers] == ["success", "success", "error"]
        assert answers[2]["message"] == "Rate limit exceeded"
        for _ in range(4):
            assert status(house, answers[0]["training_id"])["messege"] == "deploying_gpu"


# --- whose it is, and its end -------------------------------------------------------------------------------


def test_the_list_holds_a_keys_own_in_their_order(idle: House) -> None:
    mine = [begin(idle) for _ in range(3)]
    his = begin(neighbour(idle))
    assert listed(idle)[-3:] == mine
    assert listed(neighbour(idle))[-1] == his
    assert not set(listed(idle)) & set(listed(neighbour(idle)))


@pytest.mark.parametrize(
    "route", ["fine_tune_status", "cancle_training", "cancel_training", "finetune/delete"]
)
def test_a_training_of_another_key_is_as_unknown_as_one_that_never_was(idle: House, route: str) -> None:
    training_id = begin(idle)
    unknown = {
        "status": "error",
        "message": "Training id not found",
        "messege": "Training id not found",
    }
    assert neighbour(idle).ask(f"/api/v3/{route}/{training_id}") == unknown
    assert idle.ask(f"/api/v3/{route}/F5jvdzGnYi") == unknown
    assert status(idle, training_id)["messege"] == "deploying_gpu"


@pytest.mark.parametrize("route", ["cancle_training", "cancel_training"])
def test_a_training_is_taken_back_while_it_waits(idle: House, route: str) -> None:
    training_id = begin(idle)
    assert idle.ask(f"/api/v3/{route}/{training_id}")["status"] == "success"
    ended = status(idle, training_id)
    assert (ended["status"], ended["messege"]) == ("failed", "cancelled")
    assert training_id not in listed(idle)


def test_a_training_is_taken_back_while_it_runs_and_leaves_nothing(tmp_path: Path) -> None:
    with a_house(tmp_path, fake_step_seconds=0.01) as house:
        training_id = begin(house, max_train_steps=2000)
        wait_until(lambda: status(house, training_id)["messege"] == "training_started", 30)
        assert house.ask(f"/api/v3/cancle_training/{training_id}")["status"] == "success"
        assert end(house, training_id)["messege"] == "cancelled"
    assert not list(tmp_path.glob("stable_diffusion/loras/*"))


def test_a_training_that_is_over_cannot_be_taken_back(house: House) -> None:
    training_id = begin(house)
    end(house, training_id)
    answer = house.ask(f"/api/v3/cancle_training/{training_id}")
    assert refusal(answer) == answer["messege"] == "The training has ended already"


def test_a_training_that_is_over_is_deleted_with_its_lora(house: House) -> None:
    training_id = begin(house)
    end(house, training_id)
    assert house.ask(f"/api/v3/finetune/delete/{training_id}")["status"] == "success"
    assert not list(house.service.settings.path("stable_diffusion/loras").glob(f"{training_id}*"))
    assert refusal(house.ask(f"/api/v3/fine_tune_status/{training_id}")) == "Training id not found"
    assert training_id not in listed(house)


def test_a_training_that_is_not_over_is_not_deleted(idle: House) -> None:
    training_id = begin(idle)
    assert "cancel it first" in refusal(idle.ask(f"/api/v3/finetune/delete/{training_id}"))
    assert status(idle, training_id)["messege"] == "deploying_gpu"


def test_a_failed_training_can_be_deleted(house: House) -> None:
    training_id = begin(house, instance_prompt="#fail@1")
    end(house, training_id)
    assert house.ask(f"/api/v3/finetune/delete/{training_id}")["status"] == "success"
    assert refusal(house.ask(f"/api/v3/fine_tune_status/{training_id}")) == "Training id not found"


def test_a_lora_is_known_for_longer_than_its_job(house: House) -> None:
    training_id = begin(house)
    end(house, training_id)
    house.service.store.forget(house.state.training_ids.of(training_id))
    ended = status(house, training_id)
    assert (ended["status"], ended["messege"]) == ("success", "model_ready")
    assert training_id in listed(house)
    assert "ended already" in refusal(house.ask(f"/api/v3/cancel_training/{training_id}"))
    assert house.ask(f"/api/v3/finetune/delete/{training_id}")["status"] == "success"


def test_a_training_outlives_the_server_that_took_it_in(tmp_path: Path) -> None:
    with a_house(tmp_path, workers=0, job_store="file:queue") as house:
        training_id = begin(house)
    with a_house(tmp_path, job_store="file:queue") as house:
        assert listed(house) == [training_id]
        assert end(house, training_id)["messege"] == "model_ready"


def test_a_failure_that_nobody_remembers_is_unknown(house: House) -> None:
    training_id = begin(house, instance_prompt="#fail@1")
    end(house, training_id)
    house.service.store.forget(house.state.training_ids.of(training_id))
    assert refusal(status(house, training_id)) == "Training id not found"
    assert training_id not in listed(house)
