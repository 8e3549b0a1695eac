"""Records in Redis: one way there for all of a process, and a Redis that is away, full or asked twice."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from redis import Redis

from diffusionapi import keys as command
from diffusionapi.auth.keys import Keys
from diffusionapi.errors import StorageFull, StorageUnavailable
from diffusionapi.main import create_app
from diffusionapi.records.open import Archive, agreed, doubts
from diffusionapi.settings import Settings
from tests.one_or_many import of_one_machine
from tests.records.test_records import BOATS, a_boat
from tests.redis_server import RedisServer
from tests.server import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def _shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Nobody is connected to it but the tests of this file, which count who is and what is asked."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Any]:
    """Redis itself."""
    with closing(Redis.from_url(redis_server.url)) as client:
        yield client


def archive_of(server: RedisServer) -> Archive:
    return Archive(Settings(job_store=server.url))


def test_nothing_is_left_of_what_was_removed(redis_server: RedisServer, redis: Any, tmp_path: Path) -> None:
    with closing(archive_of(redis_server).records(BOATS, tmp_path / "none")) as boats:
        boats.add(a_boat("Anna"))
        boats.add(a_boat("Berta"))
        assert all(key.startswith(b"{diffusionapi}:record") for key in redis.scan_iter())
        boats.remove(b"Anna")
        boats.forget("north", made_before=9.0)
    assert list(redis.scan_iter()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_look_is_one_round_trip(redis_server: RedisServer, redis: Any, tmp_path: Path) -> None:
    with closing(archive_of(redis_server).records(BOATS, tmp_path / "none")) as boats:
        boats.add(a_boat("Anna"))
        before = redis.info("stats")["total_commands_processed"]
        boats.get(b"Anna")
        assert redis.info("stats")["total_commands_processed"] - before == 2  # with ours


def test_all_of_a_process_go_one_way_which_ends_with_the_last(
    redis_server: RedisServer, redis: Any, tmp_path: Path
) -> None:
    archive = archive_of(redis_server)
    assert len(redis.client_list()) == 1
    first, second = (archive.records(BOATS, tmp_path / "none") for _ in range(2))
    assert first.all() == second.all() == []
    assert archive.redis is not None
    assert agreed(archive.redis, "word", b"one") == b"one"
    assert len(redis.client_list()) == 2
    first.close()
    first.close()
    assert second.all() == []
    assert len(redis.client_list()) == 2
    second.close()
    wait_until(lambda: len(redis.client_list()) == 1, 5)


def test_the_first_word_is_agreed_on(redis_server: RedisServer, redis: Any) -> None:
    one, other = archive_of(redis_server).redis, archive_of(redis_server).redis
    assert one is not None
    assert other is not None
    assert agreed(one, "word", b"one") == agreed(other, "word", b"other") == b"one"
    wait_until(lambda: len(redis.client_list()) == 1, 5)


def test_a_redis_that_is_away_is_said_at_once_and_found_again(tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path / "redis", appendonly=True, fsync="always") as server,
        closing(archive_of(server).records(BOATS, tmp_path / "none")) as boats,
    ):
        boats.add(a_boat("Anna"))
        server.freeze()
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(StorageUnavailable, match="cannot be reached"):
                boats.get(b"Anna")
        assert time.monotonic() - began < 2
        server.kill()
        with pytest.raises(StorageUnavailable):
            boats.add(a_boat("Berta"))
        server.start()

        def back() -> bool:
            try:
                return boats.all() == [a_boat("Anna")]
            except StorageUnavailable:
                return False

        wait_until(back, 10)


def test_a_full_redis_takes_nothing_new_and_gives_and_removes(
    redis_server: RedisServer, redis: Any, tmp_path: Path
) -> None:
    with closing(archive_of(redis_server).records(BOATS, tmp_path / "none")) as boats:
        boats.add(a_boat("Anna"))
        redis.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(StorageFull):
                boats.add(a_boat("Berta"))
            assert boats.get(b"Anna") == a_boat("Anna")
            assert boats.remove(b"Anna")
        finally:
            redis.config_set("maxmemory", "0")
        assert boats.all() == []


def test_the_command_line_makes_keys_there(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("JOB_STORE", redis_server.url)
    command.main(["make", "phone"])
    made = capsys.readouterr().out.strip()
    with closing(Keys(Settings(job_store=redis_server.url))) as keys:
        assert keys.check(made).name == "phone"
        command.main(["revoke", "phone"])
        assert keys.all() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", [["list"], ["client", "list"], ["client", "show", "shop"]])
def test_the_command_line_prints_nothing_but_what_went_wrong_while_redis_is_away(
    verb: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("JOB_STORE", f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(SystemExit, match="Redis cannot be reached"):
        command.main(verb)
    assert capsys.readouterr().out == ""


def test_files_in_which_nobody_looks_any_more_are_told_of(tmp_path: Path) -> None:
    before = Settings(data_dir=tmp_path)
    with closing(Keys(before)) as keys:
        keys.make("phone")
    after = Settings(data_dir=tmp_path, job_store="redis://localhost/0")
    assert doubts(before) == []
    assert doubts(Settings(data_dir=tmp_path / "other", job_store="redis://localhost/0")) == []
    (doubt,) = doubts(after)
    assert doubt.startswith("keys.sqlite: not used")


@of_one_machine
def test_a_server_starts_while_redis_is_away_and_says_what_it_could_not_make(
    settings: Settings, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    away = {"job_store": f"redis://127.0.0.1:{free_port()}/0", "print_link_with_token": True, "workers": 0}
    with TestClient(create_app(settings.model_copy(update=away))) as client:
        assert client.get("/hello").status_code == 200
    assert caplog.text.count("no first key was made") == 1
    assert "no link with a token was made" in caplog.text
    assert "token" not in capsys.readouterr().out


@of_one_machine
def test_a_first_key_and_client_are_made_and_shown_once_when_redis_is_there(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("diffusionapi.main._AGAIN", 0.05)
    redis, said = RedisServer(tmp_path / "redis"), [""]

    def told() -> str:
        said[0] += capsys.readouterr().out
        return said[0]

    app = create_app(settings.model_copy(update={"job_store": redis.url, "workers": 0}))
    with TestClient(app), redis:
        wait_until(lambda: "Client:" in told(), 10, told)
        key = told().partition("API key:")[2].split(";")[0].strip()
        with closing(Keys(Settings(job_store=redis.url))) as keys:
            assert keys.check(key).name == "first"
        with TestClient(app):
            assert told().count("API key:") == told().count("Client:") == 1
