from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from diffusionapi.auth.secret import derived, secret_of
from diffusionapi.errors import Misconfigured, StorageUnavailable
from tests.factories import settings_in
from tests.one_or_many import of_one_machine
from tests.server import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.settings import Settings
    from tests.redis_server import RedisServer


def with_key(settings: Settings, key: str) -> Settings:
    return settings.model_copy(update={"secret_key": SecretStr(key)})


def test_the_key_of_the_operator_is_used_and_no_file_made(settings: Settings, tmp_path: Path) -> None:
    assert secret_of(with_key(settings, "a" * 64)) == b"a" * 64
    assert list(tmp_path.iterdir()) == []


@of_one_machine
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


def on_another_machine(server: RedisServer, folder: Path) -> Settings:
    folder.mkdir()
    return settings_in(folder).model_copy(update={"job_store": server.url})


def test_machines_on_one_redis_agree_on_the_key_without_being_told(
    redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machines = [on_another_machine(redis_server, tmp_path / str(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        (made,) = set(threads.map(secret_of, machines))
    assert len(made) == 64
    assert caplog.text.count("a key was made and is kept in Redis") == 1
    assert made.decode() not in caplog.text
    assert all(list(one.data_dir.iterdir()) == [] for one in machines)
    assert secret_of(with_key(machines[0], "a" * 64)) == b"a" * 64


def test_a_key_that_a_machine_had_before_becomes_that_of_all(
    redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of several that had one each, the first's."""
    first, second, third = (on_another_machine(redis_server, tmp_path / str(number)) for number in range(3))
    for one, key in ((first, "f"), (second, "s")):
        (one.data_dir / "secret.key").write_text(key * 64 + "\n")
    assert secret_of(first) == secret_of(third) == b"f" * 64
    assert caplog.text == ""
    assert secret_of(second) == b"f" * 64
    assert "the key in secret.key is not used" in caplog.text
    assert (second.data_dir / "secret.key").read_text() == "s" * 64 + "\n"


def test_nothing_is_signed_with_a_key_of_ones_own_while_redis_is_away(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    settings = on_another_machine(redis_server, tmp_path / "one")
    away = settings.model_copy(update={"job_store": f"redis://127.0.0.1:{free_port()}/0"})
    with pytest.raises(StorageUnavailable):
        secret_of(away)
    assert list(settings.data_dir.iterdir()) == []
