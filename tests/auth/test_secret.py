from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from diffusionapi.auth.secret import derived, secret_of
from diffusionapi.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings


def with_key(settings: Settings, key: str) -> Settings:
    return settings.model_copy(update={"secret_key": SecretStr(key)})


def test_the_key_of_the_operator_is_used_and_no_file_made(settings: Settings, tmp_path: Path) -> None:
    assert secret_of(with_key(settings, "a" * 64)) == b"a" * 64
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_made_once_kept_and_warned_of(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = secret_of(settings)
    assert len(made) == 64
    assert "SECRET_KEY is not set" in caplog.text
    assert made.decode() not in caplog.text
    caplog.clear()
    assert secret_of(settings) == made
    assert caplog.text == ""
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["secret.key"]


def test_processes_that_start_together_agree_on_the_key(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: secret_of(settings), range(32)))) == 1


def test_a_short_key_is_warned_of(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    secret_of(with_key(settings, "hunter2"))
    assert "7 characters" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_key_file_that_was_emptied_stops_the_server(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("\n")
    with pytest.raises(Misconfigured, match=r"secret\.key"):
        secret_of(settings)


def test_keys_of_two_purposes_differ() -> None:
    keys = {derived(b"secret", "users"), derived(b"secret", "blobs"), derived(b"other", "users")}
    assert len(keys) == 3
    assert all(len(one) == 32 for one in keys)
