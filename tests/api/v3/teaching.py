"""What clients that train do over the wire."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi.testclient import TestClient

from diffusionapi.core.work import TrainingRequest
from diffusionapi.main import create_app
from tests.api.v3.house import OTHER_KEY, House, Json, a_png, as_base64, v3_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDS = ("model_ready", "training_failed", "cancelled")


@contextmanager
def a_house(folder: Path, **settings: object) -> Iterator[House]:
    """A server of its own."""
    with TestClient(create_app(v3_settings(folder, **settings))) as client:
        yield House(client)


def neighbour(house: House) -> House:
    """The holder of the other key."""
    return replace(house, key=OTHER_KEY)


def pictures(count: int) -> list[str]:
    """As base64, each of another grey."""
    return [as_base64(a_png(colour=f"rgb({shade},{shade},{shade})")) for shade in range(10, 10 + count)]


def begin(house: House, route: str = "fine_tune", /, **fields: object) -> str:
    """A training of a few steps; its id."""
    answer = try_to_begin(house, route, **{"max_train_steps": "4"} | fields)
    assert answer["status"] == "success", answer
    training_id: str = answer["training_id"]
    return training_id


def try_to_begin(house: House, route: str = "fine_tune", /, **fields: object) -> Json:
    body = {"instance_prompt": "photo of sks dog", "images": pictures(3)} | fields
    return house.ask(f"/api/v3/{route}", **body)


def status(house: House, training_id: str) -> Json:
    return house.ask(f"/api/v3/fine_tune_status/{training_id}")


def end(house: House, training_id: str) -> Json:
    """The last status of a training."""
    deadline = time.monotonic() + 60
    while (found := status(house, training_id))["messege"] not in ENDS:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


def listed(house: House) -> list[str]:
    answer = house.ask("/api/v3/finetune_list")
    assert (answer["status"], answer["messege"]) == ("success", "model list")
    found: list[str] = answer["data"]
    return found


def asked(house: House, training_id: str) -> TrainingRequest:
    """What the core is asked for."""
    request = house.service.store.ticket(house.state.training_ids.of(training_id)).request
    assert isinstance(request, TrainingRequest)
    return request


def refusal(answer: Json) -> Any:
    assert answer["status"] == "error", answer
    return answer["message"]
