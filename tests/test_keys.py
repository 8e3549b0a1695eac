"""`python -m diffusionapi.keys`, and the lines of a first start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from diffusionapi import keys as command
from diffusionapi.auth.clients import Clients
from diffusionapi.auth.keys import Keys
from diffusionapi.errors import NotAuthenticated
from diffusionapi.settings import Settings
from diffusionapi.webhooks.signing import shared
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command, gives what it printed."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        command.main(list(arguments))
        return capsys.readouterr().out

    return run


def test_a_key_is_made_listed_and_revoked(run: Run, tmp_path: Path) -> None:
    key = run("make", "phone", "--per-minute", "60").strip()
    keys = Keys(Settings(data_dir=tmp_path))
    assert keys.check(key).per_minute == 60
    header, line = run("list").splitlines()
    assert header.split() == ["NAME", "MADE", "USED", "PER", "MINUTE"]
    assert line.split()[0] == "phone"
    assert line.split()[-1] == "60"
    assert key not in line
    run("revoke", "phone")
    with pytest.raises(NotAuthenticated):
        keys.check(key)
    keys.close()


def test_keys_of_the_setting_are_listed_by_name_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "desk:s3cret")
    listed = run("list")
    assert re.search(r"^desk +API_KEYS", listed, re.MULTILINE)
    assert "s3cret" not in listed


def test_a_client_is_made_shown_listed_and_revoked(run: Run, tmp_path: Path) -> None:
    made = dict(
        line.split()[:2]
        for line in run(
            "client", "make", "shop", "--domain", "https://shop.test", "--notify", "/told", "--upload", "/new"
        ).splitlines()
    )
    clients = Clients(Settings(data_dir=tmp_path))
    client = clients.check(made["token"], made["secret"])
    assert (client.domain, client.uri_notify, client.uri_upload) == ("https://shop.test", "/told", "/new")
    assert made["signing"] == shared(clients.signing_key(client.token))
    for name in ("shop", client.token):
        shown = run("client", "show", name)
        assert made["signing"] in shown
        assert "https://shop.test" in shown
        assert made["secret"] not in shown
    assert client.token in run("client", "list")
    run("client", "revoke", "shop")
    assert clients.find(client.token) is None
    clients.close()


@pytest.mark.parametrize(
    "arguments", [["revoke", "none"], ["client", "revoke", "none"], ["client", "show", "none"], ["make", ""]]
)
def test_what_goes_wrong_is_one_sentence(run: Run, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert isinstance(caught.value.code, str)
    assert "\n" not in caught.value.code


def test_the_first_start_shows_a_key_and_a_client_and_no_later_one_does(tmp_path: Path) -> None:
    with Server(tmp_path, workers=0, log_format="json", log_level="debug") as server:
        (key,) = re.findall(r"^  API key:  (\w+);", server.log(), re.MULTILINE)
        ((token, secret),) = re.findall(r"^  Client:   token (\w+) secret (\w+);", server.log(), re.MULTILINE)
        server.get(f"/generate?token={key}")
        server.get(f"/api/v3/{key}")
        server.stop()
        server.start()
        assert server.log().count(key) == 1, "a line of the log has it, too"
        assert "/api/v3/***" in server.log()
        assert server.log().count("API key:") == 1
        assert server.log().count(secret) == 1
    settings = Settings(data_dir=tmp_path)
    keys, clients = Keys(settings), Clients(settings)
    assert keys.check(key).name == "first"
    assert clients.check(token, secret).name == "first"
    keys.close()
    clients.close()


def test_a_server_whose_keys_cannot_be_kept_starts_without(tmp_path: Path) -> None:
    (tmp_path / "keys.sqlite").mkdir()
    with Server(tmp_path, workers=0) as server:
        assert server.get("/hello").status_code == 200
        assert "API key:" not in server.log()
        assert "no first key was made" in server.log()
