"""Pictures in Redis: they go after their time, and a Redis that is full or away is said to be."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from diffusionapi.blobs.open import open_blobs, open_uploads
from diffusionapi.blobs.redis import RedisShelf, connected
from diffusionapi.errors import Misconfigured, StorageFull, StorageUnavailable
from diffusionapi.settings import Settings
from tests.redis_server import RedisServer
from tests.server import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.blobs.store import Blobs


def settings_of(server: RedisServer, **others: object) -> Settings:
    return Settings.model_validate({"job_store": server.url, "blobs": "redis:", **others})


def a_client(server: RedisServer) -> Any:
    return Redis.from_url(server.url)


def test_a_picture_goes_after_its_time_and_its_name_with_it(redis_server: RedisServer) -> None:
    shelf = RedisShelf(connected(settings_of(redis_server)), "outputs", seconds=1)
    shelf.write("a.png", b"png")
    assert shelf.has("a.png")
    wait_until(lambda: not shelf.has("a.png"), 5)
    wait_until(lambda: shelf.aged(time.time() - 2.1) == {"a.png"}, 5)
    shelf.write("b.png", b"png")
    assert shelf.aged(time.time() + 60) == {"b.png"}


def test_finished_pictures_stay_as_long_as_their_jobs(redis_server: RedisServer) -> None:
    blobs = open_blobs(settings_of(redis_server, job_ttl=500))
    blobs.put("a.png", b"png")
    assert 490 < a_client(redis_server).ttl("{diffusionapi}:outputs:a.png") <= 500
    assert blobs.place("a.png") == "redis/outputs/a.png"


def test_an_upload_outlives_its_time_until_a_server_has_looked_who_needs_it(
    redis_server: RedisServer,
) -> None:
    uploads = open_uploads(settings_of(redis_server, upload_ttl=300))
    name = uploads.put(b"png")
    client = a_client(redis_server)
    key = f"{{diffusionapi}}:uploads:{name}"
    assert 590 < client.ttl(key) <= 600
    client.expire(key, 10)
    uploads.touch(name)
    assert client.ttl(key) > 590


def test_all_names_are_in_one_slot_of_a_cluster(redis_server: RedisServer) -> None:
    settings = settings_of(redis_server)
    open_blobs(settings).put("a.png", b"png")
    open_uploads(settings).put(b"png")
    assert all(key.startswith(b"{diffusionapi}:") for key in a_client(redis_server).scan_iter())


def test_the_age_is_by_the_clock_of_redis(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = open_uploads(settings_of(redis_server))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 5000)
    name = uploads.put(b"png")
    assert uploads.aged(now - 1000) == set()
    assert uploads.aged(now + 1000) == {name}


def test_a_full_redis_is_said_to_be_full(redis_server: RedisServer) -> None:
    client, blobs = a_client(redis_server), open_blobs(settings_of(redis_server))
    blobs.put("a.png", b"png")
    client.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(StorageFull):
            blobs.put("b.png", bytes(2**21))
        with pytest.raises(StorageFull):
            blobs.check()
        assert blobs.get("a.png") == b"png"
    finally:
        client.config_set("maxmemory", "0")


def there(blobs: Blobs) -> bool:
    try:
        return blobs.get("a.png") == b"png"
    except StorageUnavailable:
        return False


def test_a_redis_that_is_away_is_not_waited_for_and_found_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path, appendonly=True) as server:
        blobs, uploads = open_blobs(settings_of(server)), open_uploads(settings_of(server))
        blobs.put("a.png", b"png")
        server.kill()
        for ask in (
            blobs.check,
            lambda: blobs.get("a.png"),
            lambda: blobs.put("a.png", b"png"),
            lambda: blobs.exists("a.png"),
            lambda: uploads.aged(0),
        ):
            began = time.monotonic()
            with pytest.raises(StorageUnavailable, match="cannot be reached"):
                ask()
            assert time.monotonic() - began < 2
        server.start()
        wait_until(lambda: there(blobs), 5)


def test_however_many_ask_a_redis_that_hangs_none_waits_two_seconds(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        blobs = open_blobs(settings_of(server))
        blobs.put("a.png", b"png")
        server.freeze()

        def waited(_: int) -> float:
            began = time.monotonic()
            assert not there(blobs)
            return time.monotonic() - began

        with ThreadPoolExecutor(60) as requests:
            assert max(requests.map(waited, range(60))) < 2
        assert waited(0) < 0.2  # by now it is known to hang
        server.thaw()
        wait_until(lambda: there(blobs), 5)


def test_pictures_in_redis_need_jobs_in_redis() -> None:
    with pytest.raises(Misconfigured, match="JOB_STORE"):
        open_blobs(Settings(blobs="redis:"))
