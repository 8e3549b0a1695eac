"""The published configuration, and what is not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.api.backlog.client import PRIVATE, PUBLIC, Client, assert_refused

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

NAMES = [
    *("word", "url_upload", "steps", "guidance", "strength", "width"),
    *("height", "cimg", "saveinterval", "seed", "model", "output"),
]
DEFAULTS = {
    "word": None,
    "url_upload": None,
    "steps": 20,
    "guidance": 7.5,
    "strength": 0.5,
    "width": 512,
    "height": 512,
    "cimg": 1,
    "saveinterval": 2,
    "seed": "$random",
    "model": "sd-v1-4.ckpt",
    "output": "$output_uid.ext",
}
ARGUMENTS = {
    "word": "--prompt",
    "url_upload": "-filename",
    "steps": "--ddim_steps",
    "guidance": "--scale",
    "strength": "--strength",
    "width": "--W",
    "height": "--H",
    "cimg": "--n_samples",
    "saveinterval": "--se",
    "seed": "--seed",
    "model": "--ckpt",
    "output": "--output",
}
SIZES = [320, 384, 448, 512, 640, 768]
MOST_FOR_FREE = {"steps": 100, "width": 512, "height": 512, "saveinterval": 20}
RANGES = {"steps": (1, 200), "guidance": (1, 12), "strength": (0, 1), "saveinterval": (1, 20)}


def test_the_configuration_is_the_published_one(idle_client: TestClient) -> None:
    answer = idle_client.get(f"{PUBLIC}/config/diffusion")
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert list(data) == [*("engine", "version", "name", "description", "isFree", "requiresGPU", "aParam")]
    assert (data["engine"], data["version"], data["name"]) == (
        *("diffusion", "1.4.0", "Stable Diffusion v1.4"),
    )
    assert (data["description"], data["isFree"], data["requiresGPU"]) == ("Text to Image", False, True)
    params = {one["in"]: one for one in data["aParam"]}
    assert list(params) == NAMES
    assert {name: one["default"] for name, one in params.items()} == DEFAULTS
    assert {name: one["out"] for name, one in params.items()} == ARGUMENTS
    assert {name for name, one in params.items() if not one["isMandatory"]} == {"url_upload"}
    assert params["width"]["accept"]["$in"] == params["height"]["accept"]["$in"] == SIZES
    assert params["width"]["accept"]["display"] == [f"{one}x{one}" for one in SIZES]
    assert params["cimg"]["accept"] == {"$in": [1, 2, 3, 4], "display": ["1", "2", "3", "4"]}
    free = {name: one["freeAccess"]["$max"] for name, one in params.items() if "freeAccess" in one}
    assert free == MOST_FOR_FREE
    ranges = {name: one["ui"] for name, one in params.items() if "min" in one.get("ui", {})}
    assert {name: (ui["min"], ui["max"]) for name, ui in ranges.items()} == RANGES
    assert params["guidance"]["ui"]["conditional"] == {"$null": "url_upload"}
    assert params["strength"]["ui"]["conditional"] == {"$exist": "url_upload"}
    assert params["width"]["ui"]["autofill"] == [{"in": "height", "out": "--H"}]


def test_the_configuration_keeps_its_order(idle_client: TestClient) -> None:
    text = idle_client.get(f"{PUBLIC}/config/diffusion").text
    first = json.loads(text)["data"]["aParam"][0]
    assert list(first) == ["in", "out", "isMandatory", "type", "default", "ui"]
    assert list(first["ui"]) == ["title", "placeholder", "widget", "column"]


@pytest.mark.parametrize("engine", ["gfpgan", "Diffusion", "%20"])
def test_an_unknown_engine_is_not_found_and_no_error_of_ours(
    bob: Client, engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    sentence = "Could not find AI engine"
    assert_refused(bob.ask("GET", f"{PUBLIC}/config/{engine}"), 404, sentence)
    assert_refused(bob.ask("POST", f"{PRIVATE}/ai/{engine}", json={}), 404, sentence)
    assert not [one for one in caplog.records if one.levelname == "ERROR" and sentence in one.getMessage()]


def test_an_unknown_method_is_refused_in_this_dialect_s_words(bob: Client) -> None:
    answer = bob.ask("PUT", f"{PUBLIC}/config/diffusion", json={})
    assert_refused(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"
