"""What the original's own end-to-end tests hold, held of a real server, with and without a token."""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from PIL import Image

from tests.api.tasks.client import Client, Json, a_png, path_of

if TYPE_CHECKING:
    from collections.abc import Callable

TXT2IMG: Json = {
    "params_type": "txt2img",
    "model": "fake",
    "prompt": "corgi wearing a top hat",
    "negative_prompt": None,
    "steps": 2,
    "guidance": 7.5,
    "scheduler": "plms",
    "safety_filter": False,
    "seed": 42,
    "width": 64,
    "height": 64,
}


def asked(kind: str, **more: Any) -> Json:
    """What the original's tests send: everything that has no default, and few others."""
    return {
        "params_type": kind,
        "model": "fake",
        "prompt": "corgi wearing a top hat",
        "steps": 2,
        "safety_filter": False,
        **more,
    }


def common(seed: int) -> Json:
    return {
        name: value for name, value in TXT2IMG.items() if name not in ("width", "height", "params_type")
    } | {"seed": seed}


def fetch(client: Client, url: str) -> Image.Image:
    answer = client.get(path_of(url))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


def by_task(client: Client, kind: str, params: Json) -> Json:
    ended = client.end(client.submit_only(**asked(kind, **params)))
    assert ended["event_type"] == "finished", ended
    result: Json = ended["result"]
    return result


def by_query(client: Client, kind: str, params: Json) -> Json:
    answer = client.get(f"/{kind}", **asked(kind, **params))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    result: Json = answer.json()
    return result


def test_1_what_is_uploaded_is_fetched(anyone: Client) -> None:
    url = anyone.upload(a_png(96, 64))
    assert url.startswith(anyone.url + "/blob/")
    assert fetch(anyone, url).size == (96, 64)


@pytest.mark.parametrize("params", [{"prompt": "corgi"}, {"prompt": "corgi", "params_type": "txt2img"}])
def test_2_a_task_is_pending_started_finished_in_this_order_and_once(bob: Client, params: Json) -> None:
    with bob.socket() as events:
        task = bob.submit(**params)
        life = events.life(task)
        assert events.silent()
    assert [one["event_type"] for one in life] == ["pending", "started", "finished"]
    assert life[0] == {"event_type": "pending", "task_id": task}
    assert life[1] == {"event_type": "started", "task_id": task}
    assert bob.end(task) == life[2]
    assert list(life[2]) == ["event_type", "task_id", "result"]


@pytest.mark.parametrize("make", [by_task, by_query])
def test_3_the_parameters_used_are_complete_and_in_order(
    anyone: Client, make: Callable[[Client, str, Json], Json]
) -> None:
    size = {"width": 64, "height": 64}
    given = make(anyone, "txt2img", {"seed": 42, **size})["parameters_used"]
    assert list(given.items()) == list(TXT2IMG.items())
    drawn = make(anyone, "txt2img", size)["parameters_used"]
    assert isinstance(drawn["seed"], int)
    assert 0 <= drawn["seed"] < 2**32
    assert drawn | {"seed": 42} == TXT2IMG


@pytest.mark.parametrize("make", [by_task, by_query])
def test_4_pictures_are_made_from_pictures(anyone: Client, make: Callable[[Client, str, Json], Json]) -> None:
    first = make(anyone, "txt2img", {"width": 64, "height": 96, "seed": 42})
    content = anyone.get(path_of(first["blob_url"])).content
    uploaded = anyone.upload(content)

    second = make(anyone, "img2img", {"initial_image": uploaded, "seed": 7})
    assert list(second["parameters_used"].items()) == [
        ("params_type", "img2img"),
        *common(7).items(),
        ("initial_image", uploaded),
        ("strength", 0.8),
    ]
    assert fetch(anyone, second["blob_url"]).size == (64, 96)

    third = make(
        anyone, "inpaint", {"initial_image": second["blob_url"], "mask": first["blob_url"], "seed": 8}
    )
    assert list(third["parameters_used"].items()) == [
        ("params_type", "inpaint"),
        *common(8).items(),
        ("initial_image", second["blob_url"]),
        ("mask", first["blob_url"]),
    ]
    assert fetch(anyone, third["blob_url"]).size == (64, 96)


def test_5_a_synchronous_answer_is_the_picture_s_url(anyone: Client) -> None:
    result = by_query(anyone, "txt2img", {"width": 64, "height": 64})
    assert list(result) == ["blob_url", "parameters_used"]
    assert fetch(anyone, result["blob_url"]).size == (64, 64)


def test_6_a_task_that_is_cancelled_at_once_is_pending_started_aborted(bob: Client) -> None:
    aborted = {"event_type": "aborted", "reason": "Task cancelled by user"}
    with bob.socket() as events:
        task = bob.submit(steps=500)
        answer = bob.ask("DELETE", f"/task/{task}")
        assert (answer.status_code, answer.content) == (204, b"")
        life = events.life(task)
    assert [one["event_type"] for one in life] == ["pending", "started", "aborted"]
    assert bob.event(task) == life[2] == aborted | {"task_id": task}
    assert list(life[2]) == ["event_type", "task_id", "reason"]


def test_7_a_dropped_connection_cancels_its_task_and_frees_the_engine(bob: Client) -> None:
    query = urlencode(asked("txt2img", steps=500, width=64, height=64) | {"token": bob.token})
    with bob.socket() as events:
        with socket.create_connection(("127.0.0.1", bob.server.port)) as connection:
            connection.sendall(f"GET /txt2img?{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            pending = events.next()
            started = events.next()
        life = [pending, started, events.next(timeout=2)]
        assert [one["event_type"] for one in life] == ["pending", "started", "aborted"]
        assert life[2]["reason"] == "Task cancelled by user"
        # 500 steps of 20 ms would hold the engine for ten seconds.
        assert events.life(bob.submit(steps=2))[-1]["event_type"] == "finished"
