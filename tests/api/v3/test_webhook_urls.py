"""Where a webhook may lead, as far as its URL says so: what nobody would be called at is refused at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from diffusionapi.main import create_app
from tests.api.v3.house import PICTURE, House, furnish, v3_settings
from tests.api.v3.teaching import try_to_begin

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "The webhook must lead to a public address (ALLOW_PRIVATE_URLS)."
PORT = "The webhook must lead to port 80, 443, 8080 or 8443 (ALLOW_PRIVATE_URLS)."
NAMED = "The webhook must carry no name or password."
SENTENCES = {
    "http://127.0.0.1/told": ADDRESS,
    "http://10.1.2.3:8080/told": ADDRESS,
    "https://169.254.169.254/latest": ADDRESS,
    "http://[::1]/told": ADDRESS,
    "http://[::ffff:192.168.0.1]/told": ADDRESS,
    "http://[fd00::1]/told": ADDRESS,
    "http://93.184.216.34:6379/told": PORT,
    "https://ann:secret@example.com/told": NAMED,
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Calls no private addresses."""
    folder = tmp_path_factory.mktemp("guarded")
    furnish(folder)
    settings = v3_settings(folder, workers=0, v3_wait=0.0, allow_private_urls=False)
    with TestClient(create_app(settings)) as client:
        yield House(client)


@pytest.mark.parametrize("url", SENTENCES)
def test_what_nobody_would_be_called_at_is_refused(guarded: House, url: str) -> None:
    assert guarded.wrong(webhook=url) == {"webhook": [SENTENCES[url]]}


def test_whatever_the_route(guarded: House) -> None:
    url, wrong = "http://127.0.0.1/told", {"webhook": [ADDRESS]}
    assert guarded.wrong("/api/v3/img2img", init_image="http://127.0.0.1/x.png", webhook=url) == wrong
    assert guarded.ask("/api/v3/super_resolution", url=PICTURE, webhook=url)["message"] == wrong
    assert try_to_begin(guarded, webhook=url)["message"] == wrong


@pytest.mark.parametrize(
    "url", ["https://93.184.216.34/told", "http://example.com:8080/", "https://localhost/told"]
)
def test_public_addresses_and_names_are_taken(guarded: House, url: str) -> None:
    assert guarded.make(webhook=url)["status"] == "processing"


def test_where_private_urls_are_allowed_all_are(idle: House) -> None:
    assert idle.make(webhook="http://127.0.0.1:9000/told")["status"] == "processing"
