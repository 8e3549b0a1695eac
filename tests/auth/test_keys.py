"""API keys: who gets in, for how long, and what is kept of them."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from diffusionapi.auth.clients import Clients
from diffusionapi.auth.keys import Key, Keys, doubts
from diffusionapi.errors import BadRequest, NotAuthenticated, StorageUnavailable, TooManyRequests, UnknownName
from tests.one_or_many import of_one_machine
from tests.server import clean_environment, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.settings import Settings
    from tests.redis_server import RedisServer


@pytest.fixture
def keys(settings: Settings) -> Iterator[Keys]:
    keys = Keys(settings)
    yield keys
    keys.close()


def with_keys(settings: Settings, given: str) -> Keys:
    return Keys(type(settings)(**settings.model_dump() | {"api_keys": given}))


def test_a_key_that_was_made_is_good_until_it_is_revoked(keys: Keys) -> None:
    key = keys.make("phone")
    assert keys.check(key).name == "phone"
    keys.revoke("phone")
    with pytest.raises(NotAuthenticated):
        keys.check(key)


def test_what_is_made_or_revoked_elsewhere_counts_here_at_once(keys: Keys, settings: Settings) -> None:
    others = Keys(settings)
    key = others.make("phone")
    assert keys.check(key).name == "phone"
    others.revoke("phone")
    with pytest.raises(NotAuthenticated):
        keys.check(key)
    others.close()


@pytest.mark.parametrize("given", ["", " ", "x", "x" * 10_000, "\0", "ключ", "\ud800", "' OR 1=1 --"])
def test_nothing_else_is_good(keys: Keys, given: str) -> None:
    keys.make("phone")
    with pytest.raises(NotAuthenticated):
        keys.check(given)


def test_a_key_is_good_to_the_letter(keys: Keys) -> None:
    key = keys.make("phone")
    for given in (key[:-1], key + "0", key.upper(), f" {key}"):
        with pytest.raises(NotAuthenticated):
            keys.check(given)


@of_one_machine
def test_no_key_is_kept_as_it_is(keys: Keys, tmp_path: Path) -> None:
    key = keys.make("phone")
    keys.check(key)
    files = list(tmp_path.glob("keys.sqlite*"))
    assert files
    for file in files:
        assert key.encode() not in file.read_bytes()


def test_keys_of_the_setting_have_names_or_numbers(settings: Settings) -> None:
    keys = with_keys(settings, " phone:abc-1 , def-2,,desk:ghi:3, ")
    assert keys.check("abc-1") == Key("phone")
    assert keys.check("def-2") == Key("API_KEYS 2")
    assert keys.check("3").name == "desk:ghi"
    for given in ("phone:abc-1", "phone", ""):
        with pytest.raises(NotAuthenticated):
            keys.check(given)
    assert [key.name for key in keys.all()] == ["phone", "API_KEYS 2", "desk:ghi"]
    keys.close()


def test_a_short_or_empty_key_of_the_setting_is_doubted_and_not_shown(settings: Settings) -> None:
    given = type(settings)(**settings.model_dump() | {"api_keys": f"phone:abc-1,desk:,{'x' * 48}"})
    short, empty = doubts(given)
    assert "'phone' has 5 characters" in short
    assert "abc-1" not in short
    assert "'desk' has 0 characters" in empty


def test_keys_of_the_setting_need_no_file(settings: Settings, tmp_path: Path) -> None:
    keys = with_keys(settings, "abc-1")
    assert keys.ensure() is None
    keys.check("abc-1")
    keys.close()
    assert not (tmp_path / "keys.sqlite").exists()


def test_a_name_is_used_once(settings: Settings) -> None:
    keys = with_keys(settings, "desk:abc-1")
    keys.make("phone")
    for name in ("phone", "desk"):
        with pytest.raises(BadRequest, match="name: "):
            keys.make(name)
    keys.close()


@pytest.mark.parametrize("name", ["", " phone", "a\nb", "x" * 101])
def test_an_odd_name_is_refused(keys: Keys, name: str) -> None:
    with pytest.raises(BadRequest, match="name: "):
        keys.make(name)


def test_revoking_what_is_not_there_lists_what_is(keys: Keys) -> None:
    keys.make("phone")
    with pytest.raises(UnknownName, match="known: phone"):
        keys.revoke("fone")


def test_the_last_use_is_noted(keys: Keys, settings: Settings) -> None:
    before = time.time()
    key = keys.make("phone")
    assert keys.all()[0].used is None
    keys.check(key)
    keys.check(key)
    keys.close()  # which waits for the note
    (found,) = Keys(settings).all()
    assert found.created is not None
    assert found.used is not None
    assert before <= found.created <= found.used <= time.time()


def test_a_limit_is_per_key_and_minute(keys: Keys) -> None:
    key, other = keys.make("phone", per_minute=3), keys.make("desk")
    for _ in range(3):
        keys.check(key)
    with pytest.raises(TooManyRequests) as caught:
        keys.check(key)
    assert 1 <= caught.value.retry_after <= 60
    for _ in range(10):
        keys.check(other)
    with pytest.raises(BadRequest, match="per_minute"):
        keys.make("none", per_minute=0)


def test_a_first_key_is_made_when_there_is_none(keys: Keys) -> None:
    key = keys.ensure()
    assert key is not None
    assert keys.check(key).name == "first"
    assert keys.ensure() is None
    keys.revoke("first")
    keys.make("phone")
    assert keys.ensure() is None


def test_of_many_processes_one_makes_the_first_key(settings: Settings) -> None:
    program = (
        "from diffusionapi.settings import Settings; "
        "from diffusionapi.auth.keys import Keys; from diffusionapi.auth.clients import Clients; "
        "settings = Settings(); "
        "print(bool(Keys(settings).ensure()), bool(Clients(settings).ensure()))"
    )
    environment = clean_environment(settings.data_dir, job_store=settings.job_store)
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [one.communicate()[0].split() for one in running]
    assert sum(key == "True" for key, _ in said) == 1
    assert sum(client == "True" for _, client in said) == 1


@of_one_machine
def test_a_damaged_file_lets_nobody_in(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "keys.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(StorageUnavailable, match="API keys"):
        Keys(settings).check("x")


@of_one_machine
def test_a_redis_that_is_away_lets_in_who_has_a_key_of_the_setting_and_says_so_to_others(
    settings: Settings,
) -> None:
    away = settings.model_copy(update={"job_store": f"redis://127.0.0.1:{free_port()}/0"})
    keys = with_keys(away, "desk:abc-1")
    assert keys.check("abc-1") == Key("desk")
    for ask in (lambda: keys.check("other"), lambda: keys.make("phone"), lambda: keys.revoke("phone")):
        with pytest.raises(StorageUnavailable, match="cannot be reached"):
            ask()
    keys.close()


@pytest.mark.parametrize("settings", ["redis"], indirect=True)
def test_no_key_or_secret_is_in_redis_as_it_is(settings: Settings, redis_server: RedisServer) -> None:
    keys, clients = Keys(settings), Clients(settings)
    key, (_, secret) = keys.make("phone"), clients.make("shop")
    keys.check(key)
    keys.close()
    clients.close()
    with closing(Redis.from_url(redis_server.url)) as redis:
        names = list(redis.scan_iter())
        kept = [part for one in names if redis.type(one) == b"hash" for part in redis.hvals(one)]
    assert b"phone" in kept
    assert not any(told.encode() in one for told in (key, secret) for one in (*names, *kept))
