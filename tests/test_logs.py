from __future__ import annotations

import json
import logging
import sys

from diffusionapi import logs
from diffusionapi.auth.keys import new_secret


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("diffusionapi.worker", logging.INFO, "", 0, message, arguments, None)
    made.__dict__.update(extra)
    return made


def test_a_line_about_a_job_carries_its_id() -> None:
    line = logs.TextFormatter().format(record("started, attempt %d", 1, **logs.about("j-1")))
    assert line.endswith("info    worker job=j-1: started, attempt 1")


def test_json_lines_have_the_same_as_fields() -> None:
    fields = json.loads(logs.JsonFormatter().format(record("started", **logs.about("j-1"))))
    assert fields["job"] == "j-1"
    assert (fields["level"], fields["logger"], fields["message"]) == (
        "info",
        "diffusionapi.worker",
        "started",
    )
    assert "T" in fields["time"]


def test_keys_and_picture_data_are_never_written() -> None:
    message = "GET /events?token=hunter2&x=1 " + "iVBORw0KGgo" * 100
    for line in (logs.TextFormatter().format(record(message)), logs.JsonFormatter().format(record(message))):
        assert "hunter2" not in line
        assert "token=***&x=1 [data]" in line


def test_tokens_are_never_written_wherever_they_stand() -> None:
    token = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJib2IifQ", "c2lnbmF0dXJl"))
    for message in (
        f"GET /blob/{token} 200",
        f"GET /img2img?initial_image=http%3A%2F%2Fa%2Fblob%2F{token}&x=1",
        f"POST /user?access_token={token} and {token}",
        "Authorization: Bearer c2lnbmF0dXJl",
    ):
        line = logs.TextFormatter().format(record(message))
        assert "c2lnbmF0dXJl" not in line
        assert "***" in line


def test_keys_as_we_make_them_are_never_written_wherever_they_stand() -> None:
    key = new_secret()
    for place in (f"POST /api/v3/{key} 404", f"/fetch/phone%3A{key}", f"?k={key}&x=1", f"wrong key: {key}."):
        line = logs.TextFormatter().format(record(place))
        assert line.endswith(place.replace(key, "***"))
    for other in (f"{key}0", f"{key[1:]}", f"g{key}"):
        assert logs.TextFormatter().format(record(other)).endswith(other)


def test_a_failure_is_logged_with_its_story() -> None:
    try:
        raise ValueError("the story")
    except ValueError:
        made = record("it broke")
        made.exc_info = sys.exc_info()
    assert "ValueError: the story" in logs.TextFormatter().format(made)
    assert "the story" in json.loads(logs.JsonFormatter().format(made))["exception"]


def test_the_http_client_writes_no_urls() -> None:
    logs.configure("debug", "text")
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
