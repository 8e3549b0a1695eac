"""HEAD: for load balancers and `curl -I`, wherever GET only tells something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from tests.server import WEB

if TYPE_CHECKING:
    from tests.server import Server

PLACES = {"job_id": "no-job", "name": "none.png", "task_id": "no-task", "blob_token": "none", "uid": "1"}
DRAWS = ["/txt2img", "/img2img", "/inpaint"]
"""GET makes a job of these links of the task API."""


def gets(client: TestClient) -> list[str]:
    """All routes that answer GET, with something in their places."""
    routes = iter_route_contexts(client.app.routes)  # type: ignore[attr-defined]
    places = PLACES | {"engine": "diffusion"}
    return sorted({(one.path or "").format(**places) for one in routes if "GET" in (one.methods or ())})


def test_head_says_of_every_route_what_get_would_say(shared_client: TestClient) -> None:
    looked = [path for path in gets(shared_client) if path not in DRAWS]
    assert {"/", "/docs", "/redoc", "/openapi.json", "/livez", "/models", "/queue/no-job"} <= set(looked)
    for path in looked:
        get, head = (
            shared_client.request(method, path, follow_redirects=False) for method in ("GET", "HEAD")
        )
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers.get("content-type") == get.headers.get("content-type"), path


@pytest.mark.parametrize("path", DRAWS)
def test_links_that_draw_are_not_to_be_tried(idle_client: TestClient, path: str) -> None:
    answer = idle_client.head(path, params={"prompt": "corgi"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert idle_client.get("/queue").json()["waiting_total"] == 0


def test_head_of_a_feed_has_no_end_to_wait_for(idle_client: TestClient) -> None:
    job_id = idle_client.post("/txt2img", json={"prompt": "x"}).json()["job_id"]
    answer = idle_client.head(f"/queue/{job_id}/events")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_a_method_that_is_none_is_told_of_head(shared_client: TestClient) -> None:
    for path in ("/models", "/queue/no-job", "/livez"):
        assert "HEAD" in shared_client.put(path).headers["allow"].split(", "), path
    assert shared_client.put("/upscale").headers["allow"] == "POST"
    assert shared_client.head("/upscale").status_code == 405
    assert shared_client.head("/nowhere").status_code == 404


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/livez", "/models", "/capabilities"])
def test_over_the_wire_head_has_the_length_and_no_body(server: Server, path: str) -> None:
    head, get = WEB.head(server.url + path), WEB.get(server.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


def test_behind_a_proxy_that_has_a_prefix_head_is_the_same(shared_client: TestClient) -> None:
    behind = TestClient(shared_client.app, root_path="/sd")
    assert behind.head("/sd/models").status_code == behind.get("/sd/models").status_code == 200
    assert behind.put("/sd/models").headers["allow"] == "GET, HEAD"
