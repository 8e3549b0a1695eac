"""Bytes that are handed out as a file on a disk would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

from diffusionapi.api.ranges import content_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(100))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = FastAPI()

    @app.api_route("/{name}", methods=["GET", "HEAD"])
    def give(name: str, request: Request) -> Response:
        return content_answer(CONTENT, name, request)

    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(("name", "kind"), [("a.png", "image/png"), ("a.jpg", "image/jpeg")])
def test_the_whole_with_its_type(client: TestClient, name: str, kind: str) -> None:
    answer = client.get(f"/{name}")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == kind
    assert answer.headers["accept-ranges"] == "bytes"


def test_head_tells_the_size(client: TestClient) -> None:
    answer = client.head("/a.png")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "100"


@pytest.mark.parametrize(
    ("asked", "part", "said"),
    [
        ("bytes=0-9", CONTENT[:10], "bytes 0-9/100"),
        ("bytes=90-", CONTENT[90:], "bytes 90-99/100"),
        ("bytes=90-500", CONTENT[90:], "bytes 90-99/100"),
        ("bytes=-5", CONTENT[95:], "bytes 95-99/100"),
        ("bytes=-500", CONTENT, "bytes 0-99/100"),
    ],
)
def test_a_part(client: TestClient, asked: str, part: bytes, said: str) -> None:
    answer = client.get("/a.png", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, part)
    assert answer.headers["content-range"] == said


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=500-600", "bytes=9-5", "bytes=-0"])
def test_a_part_that_lies_outside(client: TestClient, asked: str) -> None:
    answer = client.get("/a.png", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */100"


@pytest.mark.parametrize(
    "asked", ["bytes=-", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b", "bytes=0-" + "9" * 30]
)
def test_what_is_no_range_to_us_gets_the_whole(client: TestClient, asked: str) -> None:
    answer = client.get("/a.png", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_a_client_that_has_it_is_not_sent_it_again(client: TestClient) -> None:
    etag = client.get("/a.png").headers["etag"]
    for given in (etag, f'"other", W/{etag}', "*"):
        answer = client.get("/a.png", headers={"If-None-Match": given})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert client.get("/a.png", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_part_of_what_the_client_had_is_given_only_if_it_is_the_same(client: TestClient) -> None:
    etag = client.get("/a.png").headers["etag"]
    assert client.get("/a.png", headers={"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    assert client.get("/a.png", headers={"Range": "bytes=0-9", "If-Range": '"other"'}).status_code == 200
