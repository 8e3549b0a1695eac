"""What a server with the task API shows at its start and of itself, and what its log never says."""

from __future__ import annotations

import importlib
import re
import stat
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.api.tasks.client import Client, a_png, path_of, signed_up
from tests.server import WEB, Server

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient


def test_the_link_that_is_printed_shows_an_answer(tmp_path: Path) -> None:
    with Server(tmp_path, print_link_with_token=1, fake_step_seconds=0) as server:
        lines = re.findall(r"^Try visiting (\S+)$", server.log(), re.MULTILINE)
        assert len(lines) == 1
        address = urlsplit(lines[0])
        assert f"{address.scheme}://{address.netloc}" == f"http://localhost:{server.port}"
        assert address.path == "/txt2img"
        assert list(dict(parse_qsl(address.query)).items())[:3] == [
            ("prompt", "corgi"),
            ("steps", "20"),
            ("model", "CompVis/stable-diffusion-v1-4"),
        ]
        answer = WEB.get(lines[0], timeout=60)
        assert answer.status_code == 200, answer.text
        assert WEB.get(answer.json()["blob_url"]).headers["content-type"] == "image/png"


@pytest.mark.parametrize("value", ["0", "", "false", "No", "off"])
def test_no_link_is_printed_and_no_key_made_unasked(tmp_path: Path, value: str) -> None:
    with Server(tmp_path, print_link_with_token=value) as server:
        assert "Try visiting" not in server.log()
    assert not (tmp_path / "secret.key").exists()
    assert not (tmp_path / "users.sqlite").exists()


def test_a_key_is_made_when_none_is_set_and_the_log_says_so(tmp_path: Path) -> None:
    with Server(tmp_path, enable_signup=1) as server:
        bob = signed_up(server, "bob")
        assert bob.submit(steps=2)
        assert "SECRET_KEY is not set" in server.log()
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_the_log_holds_no_token_and_no_password(tmp_path: Path) -> None:
    with Server(tmp_path, enable_signup=1, log_level="debug", login_attempts=100) as server:
        client = Client(server)
        client.ask("POST", "/user/bob?password=hunter2-secret")
        client.ask("POST", "/token/bob?password=hunter2-secret")
        token = client.ask("POST", "/token", data={"username": "bob", "password": "hunter2-secret"}).json()
        bob = Client(server, token["access_token"])
        url = bob.upload(a_png())
        with bob.socket() as events:
            events.life(bob.submit(steps=2))
        client.get("/txt2img", prompt="corgi", token=bob.token, steps=2, width=64, height=64)
        client.get("/img2img", prompt="corgi", token=bob.token, steps=2, initial_image=url)
        client.get("/img2img", prompt="corgi", token=bob.token, initial_image=url + "x")
        client.get(path_of(url))
        client.get("/events", token=bob.token)
        server.stop()
        log = server.log()
    assert "/txt2img?" in log
    assert "/events?" in log
    assert "hunter2" not in log
    for secret in (str(bob.token), path_of(url).removeprefix("/blob/")):
        assert secret not in log
        assert secret.rpartition(".")[2] not in log


def test_the_document_is_there_in_yaml_too(client: TestClient) -> None:
    answer = client.get("/openapi.yml")
    assert answer.status_code == 200
    yaml = importlib.import_module("yaml")  # it has no types
    assert yaml.safe_load(answer.text) == client.get("/openapi.json").json()


def test_the_server_says_what_it_can(client: TestClient) -> None:
    found = client.get("/capabilities").json()
    assert found["dialects"] == ["primary", "tasks", "stream", "backlog", "v3"]
    assert found["engine"] == "fake"
    assert found["modes"] == ["txt2img", "img2img", "inpaint", "upscale", "training"]
    assert "PLMS" in found["samplers"]
    assert found["safety"] == {"policy": "asked", "checker": False, "models": []}
    assert found["access"] == {"public": False, "sign_up": False}
