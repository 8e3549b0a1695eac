"""What there is: models, schedulers, the load."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.api.v3.house import NO_MODEL, House, Json
from tests.api.v3.teaching import a_house, refusal

if TYPE_CHECKING:
    from pathlib import Path

SCHEDULERS = [
    "DDPMScheduler",
    "DDIMScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "DPMSolverSinglestepScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "UniPCMultistepScheduler",
    "DDIMInverseScheduler",
    "DEISMultistepScheduler",
    "IPNDMScheduler",
    "KarrasVeScheduler",
    "ScoreSdeVeScheduler",
    "LCMScheduler",
]
"""In the order of the API's own documents."""


@pytest.mark.parametrize("path", ["/api/v1/enterprise/schedulers_list", "/api/v3/schedulers_list"])
def test_the_schedulers_are_those_of_the_documents(idle: House, path: str) -> None:
    answer = idle.ask(path)
    assert answer["status"] == "success"
    assert isinstance(answer["message"], str)
    assert answer["schedulers"] == SCHEDULERS


def models_of(house: House, path: str = "/api/v4/dreambooth/model_list") -> list[Json]:
    found: list[Json] = house.client.post(path, json={"key": house.key}).json()
    assert isinstance(found, list), found
    return found


def test_the_models_are_a_bare_list_with_all_fields_of_the_documents(idle: House) -> None:
    for one in models_of(idle):
        assert list(one) == [
            "model_id",
            "status",
            "created_at",
            "instance_prompt",
            "model_name",
            "description",
            "screenshots",
        ]
        assert one["status"] == "model_ready"
        assert all(isinstance(one[name], str) for name in ("model_name", "description", "screenshots"))


def test_models_and_trainings_are_listed_that_a_request_may_name(idle: House) -> None:
    """No refiner, no LoRA from elsewhere, no training whose model is gone."""
    models = {one["model_id"]: one for one in models_of(idle)}
    assert set(models) >= {"fake", "mini", "large", "F5jvdzGnYi"}
    assert not set(models) & {"finisher", "ink", "wool", "orphan0000"}
    assert models["fake"]["instance_prompt"] is models["fake"]["created_at"] is None
    training = models["F5jvdzGnYi"]
    assert training["instance_prompt"] == "photo of sks dog"
    made = datetime.fromisoformat(training["created_at"])
    assert made == datetime.fromtimestamp(1_700_000_000, UTC)
    assert list(models.values()) == models_of(idle, "/api/v3/dreambooth/model_list")


def test_a_model_with_a_label_is_listed_by_it(tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text('{"fake": "A painter of shapes"}')
    with a_house(tmp_path, workers=0, model_labels=labels) as house:
        (model,) = models_of(house)
    assert (model["model_id"], model["model_name"]) == ("fake", "A painter of shapes")


@pytest.mark.parametrize("model", ["mini", "F5jvdzGnYi"])
def test_a_model_is_looked_at_again(idle: House, model: str) -> None:
    answer = idle.ask("/api/v4/dreambooth/model_reload", model_id=model)
    assert answer == {"status": "success", "message": "model reload started"}


def test_a_model_that_is_not_there_is_not_looked_at_again(idle: House) -> None:
    assert idle.ask("/api/v4/dreambooth/model_reload") == NO_MODEL
    answer = idle.ask("/api/v4/dreambooth/model_reload", model_id="minni")
    assert refusal(answer) == "Model id not found"
    assert "mini" in answer["tip"]


def test_the_load_counts_what_waits(tmp_path: Path) -> None:
    with a_house(tmp_path, workers=0, v3_wait=0.0) as house:
        assert house.ask("/api/v3/system_load") == {"queue_num": 0, "queue_time": 0.0, "status": "ok"}
        house.make(samples=3)
        load = house.ask("/api/v3/system_load/")
    assert (load["queue_num"], load["status"]) == (3, "ok")
    assert load["queue_time"] > 0


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/system_load",
        "/api/v3/schedulers_list",
        "/api/v4/dreambooth/model_list",
        "/api/v4/dreambooth/model_reload",
    ],
)
def test_the_key_is_asked_for(idle: House, path: str) -> None:
    assert refusal(idle.client.post(path, json={}).json()) == "Invalid Api Key"
    assert refusal(idle.client.post(path, data={"key": "wrong"}).json()) == "Invalid Api Key"
