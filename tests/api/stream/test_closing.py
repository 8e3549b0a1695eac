"""Every close code of the table, each for its cause, with its reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest

from diffusionapi import errors
from diffusionapi.api.stream import closing
from tests.api.stream.client import KEY, SMALL, Client, left_behind, listen
from tests.server import Server, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG: dict[str, Any] = {"steps": 500}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Nobody waits, pictures may take two seconds, and what goes wrong is said in a frame, too."""
    settings: dict[str, Any] = {
        "stream_timeout": 2,
        "stream_error_frames": 1,
        "queue_limit": 3,
        "fake_step_seconds": 0.02,
    }
    with Server(tmp_path_factory.mktemp("strict"), api_keys=KEY, **settings) as server:
        wait_until(lambda: Client(server).ask(steps=1).code == 1000, 30, server.log)  # its engine is there
        yield server


def told(error: Exception) -> tuple[int, int]:
    found = closing.after(error)
    return found.code, found.api_code


@pytest.mark.parametrize(
    ("error", "codes"),
    [
        (errors.BadJson("x"), (1003, 400)),
        (errors.BadRequest("steps", "x"), (1003, 400)),
        (errors.NotAuthenticated(), (3000, 403)),
        (closing.NoSuchPath(), (3003, 404)),
        (ValueError("x"), (1011, 1011)),
        (errors.Misconfigured("x"), (1011, 1011)),
        (closing.NotDrawn("x"), (1011, 1011)),
        (closing.NoEngine(), (1013, 503)),
        (closing.OutOfMemory("x"), (1013, 503)),
        (closing.Stopping(), (1013, 503)),
        (errors.QueueFull(3, 5), (1013, 503)),
        (errors.StorageUnavailable("x"), (1013, 503)),
        (errors.StorageFull("x"), (1013, 503)),
        (errors.TooManyRequests(5), (1013, 503)),
        (closing.TooSlow("x"), (3008, 408)),
    ],
)
def test_every_cause_has_its_codes(error: Exception, codes: tuple[int, int]) -> None:
    assert told(error) == codes


@pytest.mark.parametrize("sentence", ["", "short", "a" * 500, "ä" * 500, "🪁" * 99, '"\\\n' * 99, "x " * 200])
def test_a_reason_is_json_that_fits_into_a_close_frame(sentence: str) -> None:
    how = closing.Closing(1011, 1011, sentence)
    assert len(how.reason.encode()) <= 123
    said = json.loads(how.reason)
    assert list(said) == ["code", "message"]
    assert said["message"] == sentence or sentence.startswith(said["message"].removesuffix("…").rstrip())
    assert json.loads(how.notice)["message"] == sentence


def test_a_defect_of_ours_tells_the_client_nothing_of_its_inside() -> None:
    assert "secret" not in closing.after(RuntimeError("secret")).notice


def test_success(stream: Client) -> None:
    assert stream.ask().end == (1000, 200)


def test_a_job_that_fails(stream: Client) -> None:
    story = stream.ask(prompt="#fail@3")
    assert (story.end, story.steps) == ((1011, 1011), [1, 2])


@pytest.mark.slow
def test_an_engine_that_runs_out_of_memory(stream: Client) -> None:
    assert stream.ask(prompt="#memory@2").end == (1013, 503)


def test_no_engine_is_free(strict: Server) -> None:
    job = strict.submit(steps=400, width=64, height=64)
    strict.wait_for_state(job, "processing")
    story = Client(strict).ask()
    assert story.end == (1013, 503)
    assert story.frames == [story.said]
    assert len(strict.get("/queue").json()["waiting"]) == 0
    httpx.delete(f"{strict.url}/queue/{job}")
    strict.result(job)
    assert Client(strict).ask().end == (1000, 200)


def test_the_line_is_full(strict: Server) -> None:
    jobs = [strict.submit(steps=400, width=64, height=64)]
    strict.wait_for_state(jobs[0], "processing")
    jobs += [strict.submit(steps=1, width=64, height=64) for _ in range(3)]
    story = Client(strict).ask()
    assert story.end == (1013, 503)
    assert "full" in story.said["message"]
    assert not [one for one in left_behind(strict) if one.endswith(".wanted")]
    for job in reversed(jobs):
        httpx.delete(f"{strict.url}/queue/{job}")
        strict.result(job)


def test_who_may_wait_is_served_when_an_engine_is_free(stream: Client, stream_server: Server) -> None:
    job = stream_server.submit(steps=100, width=64, height=64)
    stream_server.wait_for_state(job, "processing")
    assert stream.ask().end == (1000, 200)
    assert stream_server.result(job)["state"] == "done"


def test_a_picture_that_takes_too_long_is_cancelled(strict: Server) -> None:
    story = Client(strict).ask(**LONG)
    assert story.end == (3008, 408)
    assert story.frames[-1] == {"code": 408, "message": "The picture was not complete within 2 seconds"}
    assert Client(strict).ask().end == (1000, 200)  # so the engine is free
    wait_until(lambda: not left_behind(strict), 5, strict.log)


@pytest.mark.parametrize("message", ["x", '{"prompt":"a","steps":0}'])
def test_error_frames_say_the_whole_of_it_first(strict: Server, message: str) -> None:
    story = Client(strict).say(message)
    assert [list(one) for one in story.frames] == [["code", "message"]]
    assert story.frames[0]["code"] == 400
    assert story.end == (1003, 400)


def test_after_a_success_there_is_no_error_frame(strict: Server) -> None:
    assert all(one["image"] for one in Client(strict).ask().frames)


def test_a_key_that_is_used_too_often_is_turned_away(tmp_path: Path) -> None:
    from diffusionapi.auth.keys import Keys
    from diffusionapi.settings import Settings

    keys = Keys(Settings(data_dir=tmp_path))
    key = keys.make("hasty", per_minute=1)
    keys.close()
    with Server(tmp_path, stream_max_wait=30) as server:
        assert Client(server, key).ask(steps=1).end == (1000, 200)
        assert Client(server, key).ask(steps=1).end == (1013, 503)


def test_a_server_that_stops_says_so_and_the_job_is_gone(tmp_path: Path) -> None:
    with Server(tmp_path, api_keys=KEY, stream_max_wait=30) as server:
        with Client(server).connection() as socket:
            socket.send(json.dumps(SMALL | LONG))
            socket.recv(timeout=30)
            assert server.stop() < 10
            assert listen(socket).code in (1012, 1013)  # ours, or that of the program that serves us
        server.start()
        assert Client(server).ask().end == (1000, 200)
        assert "running it again" not in server.log()


def test_nothing_is_left_of_a_picture_that_was_sent(stream: Client, stream_server: Server) -> None:
    wait_until(lambda: not left_behind(stream_server), 10, lambda: str(left_behind(stream_server)))
    for prompt in ("a red kite", "#fail@2"):
        stream.ask(prompt=prompt)
        wait_until(lambda: not left_behind(stream_server), 5, lambda: str(left_behind(stream_server)))


def test_the_list_of_the_primary_dialect_does_not_know_these_jobs(
    stream: Client, stream_server: Server
) -> None:
    with stream.connection() as socket:
        socket.send(json.dumps(SMALL | {"steps": 50}))
        socket.recv(timeout=30)
        listing = stream_server.get("/queue").json()
        assert listing["running"] == listing["waiting"] == []
        (job,) = {one.removesuffix("_job.json") for one in left_behind(stream_server) if "_job" in one}
        assert stream_server.get(f"/queue/{job}").status_code == 404
        assert httpx.delete(f"{stream_server.url}/queue/{job}").status_code == 404
        assert listen(socket).end == (1000, 200)
