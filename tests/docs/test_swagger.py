"""The pages for people in a browser without a network: ReDoc, and Swagger UI with a picture made by it."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser import chromium, needed
from tests.server import PROJECT, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page, Request, Route

pytestmark = pytest.mark.browser

REDOC_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"
"""ReDoc's bundle asks for it when it draws its "API docs by Redocly"; without it the words stand alone."""

PATHS_A_PAGE = 12

Json = dict[str, Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


class Visit:
    """A page, and whatever on it did not go as it should."""

    def __init__(self, page: Page, home: str) -> None:
        self.page = page
        self.outside: list[str] = []
        self.failed: list[str] = []
        self.errors: list[str] = []
        self.home = home
        page.on("request", self._saw)
        page.on("requestfailed", self._lost)
        page.on("response", lambda one: self.failed.append(one.url) if one.status >= 400 else None)
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _saw(self, request: Request) -> None:
        if not request.url.startswith((self.home + "/", "data:", f"blob:{self.home}/")):
            self.outside.append(request.url)

    def _lost(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # what is broken off by going on to the next page
            self.failed.append(request.url)

    def open(self, path: str) -> None:
        self.page.goto(self.home + path)
        self.page.wait_for_load_state("networkidle")

    def operation(self, operation_id: str) -> Locator:
        """An operation of Swagger UI, unfolded."""
        found = self.page.locator(f"#operations-primary-{operation_id}")
        found.locator(".opblock-summary-control").click()
        return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all pages that are only looked at or make a picture of their own."""
    with Server(tmp_path_factory.mktemp("server"), fake_step_seconds=0.005) as server:
        yield server.url


@pytest.fixture
def visit(browser: Browser, home: str) -> Iterator[Visit]:
    page = browser.new_page()
    yield Visit(page, home)
    page.close()


@pytest.fixture
def https_visit(browser: Browser, tmp_path: Path) -> Iterator[Visit]:
    """A visit to a server with a certificate that it has signed itself."""
    needed("openssl")
    subprocess.run([PROJECT / "generate_ssl_certs.sh", "--out", tmp_path], check=True, capture_output=True)
    tls = ["--ssl-keyfile", str(tmp_path / "key.pem"), "--ssl-certfile", str(tmp_path / "cert.pem")]
    server = Server(tmp_path, uvicorn=tls, fake_step_seconds=0.005)
    server.scheme = "https"
    with server:
        page = browser.new_page(ignore_https_errors=True)
        yield Visit(page, server.url)
        page.close()


def _document(visit: Visit) -> Json:
    document: Json = visit.page.request.get(visit.home + "/openapi.json").json()
    return document


def _operations(document: Json) -> list[Json]:
    return [operation for item in document["paths"].values() for operation in item.values()]


def _fill(operation: Locator, parameter: str, value: str) -> None:
    operation.locator(f'tr[data-param-name="{parameter}"] input').fill(value)


def _execute(operation: Locator) -> Json:
    """Press Execute and read the body of the answer from the page."""
    with operation.page.expect_response(lambda one: one.request.resource_type == "fetch"):
        operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    body: Json = json.loads(answer.locator(".highlight-code code").first.inner_text())
    return body


def _make_a_picture(visit: Visit) -> tuple[Json, Json]:
    """Send the example of txt2img as it stands and wait for its job: the example, the answer on the page."""
    submit = visit.operation("txt2img")
    submit.get_by_role("button", name="Try it out").click()
    example: Json = json.loads(submit.locator("textarea").input_value())
    job_id = _execute(submit)["job_id"]

    look = visit.operation("queue_status")
    look.get_by_role("button", name="Try it out").click()
    _fill(look, "job_id", job_id)
    _fill(look, "wait", "60")
    return example, _execute(look)


def _assert_is_the_picture_of(example: Json, answer: Json) -> None:
    assert answer["state"] == "done"
    assert answer["seed"] == example["seed"]
    assert {name: answer["payload"][name] for name in example} == example
    with Image.open(io.BytesIO(base64.b64decode(answer["image"]))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (example["width"], example["height"]))


def test_the_root_leads_to_the_docs(visit: Visit) -> None:
    visit.open("/")
    assert visit.page.url.endswith("/docs")
    assert visit.failed == []


def test_the_docs_show_every_operation_without_a_network(visit: Visit) -> None:
    visit.open("/docs")
    expect(visit.page.locator(".opblock")).to_have_count(len(_operations(_document(visit))))
    assert (visit.outside, visit.failed, visit.errors) == ([], [], [])


@pytest.mark.timeout(360)
def test_every_operation_of_the_docs_unfolds_without_an_error(visit: Visit) -> None:
    """A page at a time: with all of them on one, the browser takes seconds for each click."""
    document = _document(visit)
    paths = list(document["paths"].items())
    for start in range(0, len(paths), PATHS_A_PAGE):
        part = document | {"paths": dict(paths[start : start + PATHS_A_PAGE])}
        visit.page.route("**/openapi.json", partial(_answer, json=part))
        visit.open("/docs")
        # All at once: after each single click the browser lays out and paints a longer page.
        summaries = "document.querySelectorAll('.opblock-summary-control')"
        visit.page.evaluate(f"{summaries}.forEach(one => one.click())")
        unfolded = visit.page.locator(".opblock-body")
        expect(unfolded).to_have_count(len(_operations(part)), timeout=60_000)
        expect(visit.page.get_by_text("Could not resolve reference")).to_have_count(0)
    assert (visit.outside, visit.failed, visit.errors) == ([], [], [])


def _answer(route: Route, json: Json) -> None:
    route.fulfill(json=json)


def test_a_picture_can_be_made_by_trying_it_out(visit: Visit) -> None:
    visit.open("/docs")
    _assert_is_the_picture_of(*_make_a_picture(visit))
    assert (visit.outside, visit.failed, visit.errors) == ([], [], [])


def test_a_picture_can_be_made_by_trying_it_out_over_https(https_visit: Visit) -> None:
    https_visit.open("/docs")
    _assert_is_the_picture_of(*_make_a_picture(https_visit))
    assert (https_visit.outside, https_visit.failed, https_visit.errors) == ([], [], [])


def test_redoc_shows_every_operation_without_a_network(visit: Visit) -> None:
    visit.open("/redoc")
    operations = _operations(_document(visit))
    tags = list(dict.fromkeys(tag for operation in operations for tag in operation["tags"]))
    operations.sort(key=lambda one: tags.index(one["tags"][0]))  # as the page has them, group by group
    summaries = [operation["summary"] for operation in operations]
    expect(visit.page.locator("h2")).to_contain_text(summaries)
    assert set(visit.outside) <= {REDOC_LOGO}
    assert set(visit.failed) <= {REDOC_LOGO}
    assert len(visit.errors) <= len(visit.failed)
