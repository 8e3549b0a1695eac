from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from diffusionapi.errors import Misconfigured
from diffusionapi.settings import Settings, _shown, unknown_names
from tests.server import clean_environment


def test_the_defaults_are_the_documented_ones() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 7866)  # noqa: S104
    assert settings.job_store == "file:queue"
    assert settings.job_ttl == 24 * 3600


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8000")
    monkeypatch.setenv("MODELS_DIR", "/srv/models")
    settings = Settings.load()
    assert settings.port == 8000
    assert settings.path(settings.models_dir) == Path("/srv/models")


def test_a_dot_env_file_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PORT=8000\nQUEUE_LIMIT=5\nSOMETHING_ELSE=1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "8001")
    settings = Settings.load()
    assert (settings.port, settings.queue_limit) == (8001, 5)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "many", "Setting PORT: 'many' is not right: .*integer"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("ENGINE", "magic", "'diffusers' or 'fake'"),
        ("JOB_STORE", "redis", "must be 'file:' followed by a folder"),
        ("WORKERS", "-1", "greater than or equal to 0"),
        ("JOB_TTL", "nan", "Setting JOB_TTL"),
        ("BASE_URL", "example.org", "must start with http"),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=sentence):
        Settings.load()


@pytest.mark.parametrize(
    ("given", "store", "url"),
    [
        ({"redis_host": "10.0.0.5"}, "redis://10.0.0.5:6379/0", "redis://10.0.0.5:6379/0"),
        ({"redis_host": "::1", "redis_port": "7000"}, "redis://[::1]:7000/0", "redis://[::1]:7000/0"),
        (
            {"redis_host": "db", "redis_password": "p@ss/word"},
            "redis://db:6379/0",
            "redis://:p%40ss%2Fword@db:6379/0",
        ),
        ({"redis_host": "db", "job_store": "file:queue"}, "file:queue", None),
        ({"job_store": "redis://a:b@db/1", "redis_password": "c"}, "redis://a:b@db/1", "redis://a:b@db/1"),
        ({"job_store": "rediss://db:1/2", "redis_password": "c"}, "rediss://db:1/2", "rediss://:c@db:1/2"),
        ({"job_store": "unix:///run/redis?db=1"}, "unix:///run/redis?db=1", "unix:///run/redis?db=1"),
    ],
)
def test_a_redis_is_named_by_one_address_or_by_its_parts(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], store: str, url: str | None
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name.upper(), value)
    settings = Settings.load()
    assert (settings.job_store, settings.redis_url) == (store, url)


@pytest.mark.parametrize(
    "value", ["redis://", "redis://db:many", "redis://db:99999", "redis://db/x", "unix://"]
)
def test_an_address_that_names_no_redis_is_refused_without_showing_a_password(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("JOB_STORE", value.replace("://", "://me:hush@hush@", 1))
    with pytest.raises(Misconfigured, match="a Redis, as in") as refused:
        Settings.load()
    assert "hush" not in refused.value.sentence


@pytest.mark.parametrize("value", ["s3://", "file:pictures", "redis://db", "outputs"])
def test_pictures_are_kept_in_one_of_three_ways(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("BLOBS", value)
    with pytest.raises(Misconfigured, match=r"Setting BLOBS: .*'s3://BUCKET/PREFIX'"):
        Settings.load()
    for right in ("file:", "redis:", "s3://bucket", "s3://a.bucket/with/prefix"):
        monkeypatch.setenv("BLOBS", right)
        assert Settings.load().blobs == right


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("s3://x/y", "the name of a bucket has 3 to 63 small letters, .*, which 'x' has not"),
        ("s3://UPPER", "the name of a bucket has .*, which 'UPPER' has not"),
        ("s3://bucket/a b", "the prefix may have letters, digits, .*, not 'a b'"),
        ("s3://bucket//a", "single '/', not '/a'"),
    ],
)
def test_what_is_wrong_with_the_name_of_a_bucket_is_said(
    monkeypatch: pytest.MonkeyPatch, value: str, problem: str
) -> None:
    monkeypatch.setenv("BLOBS", value)
    with pytest.raises(Misconfigured, match=f"Setting BLOBS: '{value}' is not right: .*{problem}"):
        Settings.load()


def test_a_line_of_dot_env_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for content, number in (("PORT=1\n\nfoo bar=2\n", 3), ("PORT\n", 1), ("PORT='1\n", 1)):
        (tmp_path / ".env").write_text(content)
        with pytest.raises(Misconfigured, match=f"{tmp_path}/.env, line {number}: cannot be read"):
            Settings.load()
    (tmp_path / ".env").write_bytes(b"PORT=\xff")
    with pytest.raises(Misconfigured, match="is not text in UTF-8"):
        Settings.load()


def test_a_name_in_dot_env_that_looks_like_a_setting_is_doubted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("# ours\nQUEUELIMIT=5\nsomething_else=1\nport=1\n")
    assert unknown_names() == [
        f"{tmp_path}/.env, line 2: QUEUELIMIT is no setting; did you mean QUEUE_LIMIT?"
    ]


def run(module: str, data_dir: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *module.split(), *arguments],
        env=clean_environment(data_dir, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("module", ["diffusionapi", "uvicorn diffusionapi.main:app", "diffusionapi.worker"])
def test_a_wrong_value_stops_the_start_without_a_traceback(tmp_path: Path, module: str) -> None:
    ended = run(module, tmp_path, queue_limit="lots")
    assert ended.returncode != 0
    assert "Setting QUEUE_LIMIT: 'lots' is not right" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_all_settings_are_printed_with_their_meaning_and_no_secret(tmp_path: Path) -> None:
    secrets = {"secret_key": "hush-hush", "job_store": "redis://me:hush-hush@db"}
    printed = run("diffusionapi.settings", tmp_path, port=1234, **secrets).stdout
    for name, field in Settings.model_fields.items():
        assert f"{name.upper()}=" in printed
        assert field.description
        assert field.description in printed
    assert "* PORT=1234" in printed
    assert "* differs from the default" in printed
    assert "hush-hush" not in printed
    assert "SECRET_KEY=*****" in printed
    assert "JOB_STORE=redis://*****@db" in printed


def test_whole_seconds_are_printed_as_such() -> None:
    assert _shown(86400.0) == "86400"
    assert _shown(0.02) == "0.02"


@pytest.mark.parametrize(
    ("value", "on"),
    [(value, False) for value in ("", "0", "False", "no", " OFF ")]
    + [(value, True) for value in ("1", "yes", "anything", "00")],
)
def test_the_switches_of_the_task_api_are_on_unless_they_say_no(
    monkeypatch: pytest.MonkeyPatch, value: str, on: bool
) -> None:
    for name in ("ENABLE_SIGNUP", "ENABLE_PUBLIC_ACCESS", "PRINT_LINK_WITH_TOKEN"):
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert settings.enable_signup is settings.enable_public_access is settings.print_link_with_token is on
