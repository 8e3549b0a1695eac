"""What a request is made of: each field's default, its limits, how it is coerced, and what comes of it."""

from __future__ import annotations

import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest

from tests.api.backlog.client import PRIVATE, Client, a_client, assert_refused, opened
from tests.api.tasks.client import a_png
from tests.intake.listener import Listener, an_answer
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIFFUSION = f"{PRIVATE}/ai/diffusion"


def params_of(client: Client, **body: object) -> dict[str, Any]:
    """How a request is understood; nothing is drawn of it."""
    answer = client.ask("POST", DIFFUSION, json={"word": "coin"} | body)
    assert answer.status_code == 201, answer.text
    uid = answer.json()["data"]["uid"]
    client.ask("DELETE", f"{PRIVATE}/request/{uid}")
    found: dict[str, Any] = client.record(uid)["params"]
    return found


# --- 201 -------------------------------------------------------------------------------------------------


def test_a_request_is_added_under_a_number(bob: Client) -> None:
    before = time.time()
    answer = bob.try_to_add()
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert list(answer.json()) == ["data"]
    assert list(data) == ["uid", "created_at"]
    assert isinstance(data["uid"], int)
    assert abs(data["uid"] / 1000 - before) < 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["created_at"])
    assert abs(datetime.fromisoformat(data["created_at"]).timestamp() - before) < 60


def test_numbers_are_those_of_seconds_and_each_is_given_once(bob: Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        uids = list(threads.map(lambda _: bob.add(steps=1), range(24)))
    assert len(set(uids)) == 24
    assert all(uid % 1000 < 100 for uid in uids)
    for uid in uids:
        assert bob.end(uid)["response"]


def test_two_servers_on_one_queue_give_no_number_twice(tmp_path: Path) -> None:
    with Server(tmp_path, workers=0) as first, Server(tmp_path, workers=0) as second:
        here = a_client(first, "both")
        there = Client(second, here.token, here.secret, here.bearer)
        with ThreadPoolExecutor(8) as threads:
            uids = list(threads.map(lambda turn: (here, there)[turn % 2].add(cimg=2), range(24)))
        assert len(set(uids)) == 24
        assert all(there.record(uid)["params"]["cimg"] == 2 for uid in uids)


# --- the table of the request, row by row ----------------------------------------------------------------

DEFAULTS = [
    *(("width", 320), ("height", 320), ("steps", 20), ("seed", 1), ("url", None)),
    *(("strength", 0.75), ("guidance", 7.5), ("cimg", 1), ("word", "coin"), ("model", "fake")),
]


@pytest.fixture(scope="module")
def defaults(bob: Client) -> dict[str, Any]:
    return params_of(bob)


@pytest.mark.parametrize(("field", "value"), DEFAULTS)
def test_what_is_left_out_has_the_default_of_the_document(
    defaults: dict[str, Any], field: str, value: object
) -> None:
    assert defaults[field] == value


TAKEN = [
    *(("width", side) for side in (64, 320, 384, 448, 512, 640, 768, 1024)),
    *(("height", side) for side in (64, 320, 384, 448, 512, 640, 768, 1024)),
    *(("steps", steps) for steps in (1, 20, 200)),
    *(("seed", seed) for seed in (0, 1, 1_000_000, 2**32 - 1)),
    *(("strength", strength) for strength in (0, 0.5, 1)),
    *(("guidance", guidance) for guidance in (0.1, 7.5, 10, 12)),
    *(("cimg", cimg) for cimg in (1, 2, 3, 4)),
    *(("word", word) for word in ("gold coin from rome 100 BC, full size", "ünïcode ✓", " padded ")),
]


@pytest.mark.parametrize(("field", "value"), TAKEN)
def test_what_is_within_its_limits_is_taken(bob: Client, field: str, value: object) -> None:
    assert params_of(bob, **{field: value})[field] == value


REFUSED = [
    *(("width", side) for side in (0, -64, 63, 300, 321, 1088, "wide", 320.5, True, [320])),
    *(("height", side) for side in (0, -64, 63, 300, 321, 1088, "high", 320.5, True, [320])),
    *(("steps", steps) for steps in (0, -1, 201, "many", 2.5, True)),
    *(("seed", seed) for seed in (-1, 2**32, "x", 1.5, True)),
    *(("strength", strength) for strength in (-0.1, 1.1, "much", True)),
    *(("guidance", guidance) for guidance in (0, 0.09, 12.1, "much", True)),
    *(("cimg", cimg) for cimg in (0, 5, -1, "all", 1.5, True)),
    *(("word", word) for word in ("", "   ", 7, None)),
    *(("url_upload", url) for url in ("ftp://a.b/c.png", "file:///etc/passwd", "data:image/png;base64,AAAA")),
    *(("url_upload", url) for url in ("aGVsbG8=", 7, "https://a b")),
    ("model", "no-such-model"),
    ("model", 7),
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_what_is_not_is_refused_by_its_name(bob: Client, field: str, value: object) -> None:
    assert bob.refusal(**{field: value}).startswith(f"{field}: ")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["strength", "guidance", "steps"])
def test_a_number_that_is_none_is_refused(bob: Client, field: str, number: str) -> None:
    answer = bob.ask("POST", DIFFUSION, content=f'{{"word": "coin", "{field}": {number}}}'.encode())
    assert_refused(answer, 400)
    assert answer.json()["statusText"].startswith(f"{field}: ")


def test_words_are_needed(bob: Client) -> None:
    answer = bob.ask("POST", DIFFUSION, json={"steps": 3})
    assert_refused(answer, 400, "word: is required")


def test_all_that_is_wrong_is_said_at_once(bob: Client) -> None:
    sentence = bob.refusal(steps=0, cimg=9)
    assert "steps: " in sentence
    assert "cimg: " in sentence


def test_numbers_in_strings_are_numbers(bob: Client) -> None:
    given = {"width": "384", "height": "448", "steps": "30", "seed": "15366", "cimg": "2"}
    floats = {"strength": "0.5", "guidance": "8.5"}
    params = params_of(bob, **given, **floats)
    assert {name: params[name] for name in given} == {name: int(value) for name, value in given.items()}
    assert {name: params[name] for name in floats} == {name: float(value) for name, value in floats.items()}


@pytest.mark.parametrize("field", ["width", "steps", "seed", "strength", "guidance", "cimg", "model"])
def test_null_is_left_out(bob: Client, field: str, defaults: dict[str, Any]) -> None:
    assert params_of(bob, **{field: None})[field] == defaults[field]


@pytest.mark.parametrize(
    ("field", "value"), [("saveinterval", 5), ("saveinterval", "x"), ("output", "a.png"), ("anything", {})]
)
def test_what_has_no_effect_is_let_pass(bob: Client, field: str, value: object) -> None:
    assert field not in params_of(bob, **{field: value})


@pytest.mark.parametrize("model", ["sd-v1-4.ckpt", "fake", ""])
def test_the_published_model_is_the_server_s_own(bob: Client, model: str) -> None:
    assert params_of(bob, model=model)["model"] == "fake"


def test_a_body_is_json_whatever_it_is_called(bob: Client) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = bob.ask("POST", DIFFUSION, content=b'{"word": "coin", "steps": 1}', headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"coin"', b"null", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(bob: Client, body: bytes) -> None:
    assert_refused(bob.ask("POST", DIFFUSION, content=body), 400)


def test_a_side_beyond_the_server_s_own_limit_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path, workers=0, max_side=512) as server:
        client = a_client(server, "wide")
        assert client.refusal(width=576) == "width: at most 512 on this server (MAX_SIDE)"
        assert client.try_to_add(width=512).status_code == 201


# --- 409 -------------------------------------------------------------------------------------------------


def test_a_full_queue_takes_all_of_a_request_or_nothing(tmp_path: Path) -> None:
    with Server(tmp_path, workers=0, queue_limit=5) as server:
        client = a_client(server, "eager")
        uid = client.add(cimg=4)
        answer = client.try_to_add(cimg=2)
        assert_refused(answer, 409, "Could not add to backlog")
        assert int(answer.headers["retry-after"]) >= 1
        assert len(list((tmp_path / "queue").glob("*_job.json"))) == 4
        client.add(cimg=1)
        client.ask("DELETE", f"{PRIVATE}/request/{uid}")
        client.add(cimg=2)


# --- what is drawn ---------------------------------------------------------------------------------------


def test_pictures_have_the_size_and_the_seeds_that_follow_one_another(bob: Client) -> None:
    several = bob.end(bob.add(cimg=3, seed=41, width=128, height=64))
    assert [one["cycle"] for one in several["response"]] == [0, 1, 2]
    pictures = [bob.picture(several, cycle) for cycle in range(3)]
    assert {one.size for one in pictures} == {(128, 64)}
    singles = [bob.end(bob.add(seed=seed, width=128, height=64)) for seed in (41, 42, 43)]
    assert [one.tobytes() for one in pictures] == [bob.picture(one).tobytes() for one in singles]


def test_after_the_last_seed_comes_the_first(bob: Client) -> None:
    record = bob.end(bob.add(cimg=2, seed=2**32 - 1))
    first = bob.end(bob.add(seed=0))
    assert bob.picture(record, 1).tobytes() == bob.picture(first).tobytes()


def test_one_step_is_enough(bob: Client) -> None:
    assert bob.end(bob.add(steps=1))["response"]


# --- from a picture --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web() -> Iterator[Listener]:
    """A wide picture whose middle is red: cut to a square, nothing but red is left of it."""
    from PIL import Image

    picture = opened(a_png(300, 100, "blue"))
    picture.paste(Image.new("RGB", (120, 100), "red"), (90, 0))
    picture.save(buffer := io.BytesIO(), "PNG")
    with Listener(
        {"/wide.png": an_answer(buffer.getvalue()), "/page": an_answer(b"<html>", kind="text/html")}
    ) as one:
        yield one


def test_a_given_picture_is_cut_and_scaled_to_the_size(bob: Client, web: Listener) -> None:
    record = bob.end(bob.add(url_upload=f"{web.url}/wide.png", strength=0, width=64, height=64))
    picture = bob.picture(record)
    assert picture.size == (64, 64)
    assert picture.getcolors() == [(64 * 64, (255, 0, 0))]
    assert record["params"]["url"] == f"{web.url}/wide.png"


def test_strength_says_how_much_of_it_may_change(bob: Client, web: Listener) -> None:
    url = f"{web.url}/wide.png"
    little, much, words = (
        bob.picture(bob.end(bob.add(strength=strength, **({"url_upload": url} if given else {})))).tobytes()
        for strength, given in ((0.1, True), (1, True), (0.1, False))
    )
    assert little != much
    assert little != words


@pytest.mark.parametrize("nothing", ["", "  ", None])
def test_without_one_the_words_alone_are_drawn(bob: Client, nothing: object) -> None:
    record = bob.end(bob.add(url_upload=nothing, seed=5))
    assert record["params"]["url"] is None
    assert bob.picture(record).tobytes() == bob.picture(bob.end(bob.add(seed=5))).tobytes()


def test_a_picture_of_ours_will_do(bob: Client) -> None:
    made = bob.end(bob.add())["response"][0]["filename"]
    kept = httpx.get(made).content
    for url in (made, made.removeprefix(bob.server.url)):
        again = bob.end(bob.add(url_upload=url, strength=0, width=64, height=64))
        assert bob.picture(again).tobytes() == opened(kept).convert("RGB").tobytes()


@pytest.mark.parametrize("path", ["/page", "/nothing"])
def test_a_url_that_gives_no_picture_is_refused(bob: Client, web: Listener, path: str) -> None:
    assert bob.refusal(url_upload=web.url + path).startswith("url_upload: ")


def test_a_picture_of_ours_that_is_not_there_is_refused(bob: Client) -> None:
    sentence = bob.refusal(url_upload=f"{bob.server.url}/uploads/ai/1_0_{'0' * 16}.png")
    assert sentence == "url_upload: there is no such picture here, or no longer"
