"""`python -m diffusionapi`: what a new user sees, the curl line it prints, and what stops a start."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from diffusionapi.__main__ import banner, engine_line
from diffusionapi.settings import PROJECT, Settings
from diffusionapi.start import address_problem, doubts, free_port, problems, tls_problem
from tests import server as servers
from tests.server import clean_environment, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")

STARTS = {
    "server": ["diffusionapi"],
    "check": ["diffusionapi", "--check"],
    "uvicorn": ["uvicorn", "diffusionapi.main:app"],
    "worker": ["diffusionapi.worker"],
}


@pytest.mark.parametrize(("setting", "package"), [("job_store", "redis"), ("blobs", "obstore")])
def test_a_package_that_a_setting_needs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, package: str
) -> None:
    value = {"job_store": "redis://db", "blobs": "s3://bucket"}[setting]
    settings = Settings(data_dir=tmp_path, **{setting: value})  # type: ignore[arg-type]
    assert problems(settings) == []
    monkeypatch.setattr("diffusionapi.start.find_spec", lambda name: None if name == package else object())
    (problem,) = problems(settings)
    assert f"it needs the package {package}; .venv/bin/pip install" in problem


def test_pictures_in_redis_need_jobs_there(tmp_path: Path) -> None:
    (problem,) = problems(Settings(data_dir=tmp_path, blobs="redis:"))
    assert "Setting BLOBS: 'redis:' is the Redis of JOB_STORE" in problem
    assert problems(Settings(data_dir=tmp_path, blobs="redis:", redis_host="db", workers=0)) == []


def test_what_of_a_redis_would_be_ignored_is_said(tmp_path: Path) -> None:
    (doubt,) = doubts(Settings(data_dir=tmp_path, redis_host="db", job_store="file:queue"))
    assert doubt == "Settings REDIS_HOST: not used, since the jobs are in file:queue"
    (doubt,) = doubts(Settings(data_dir=tmp_path, redis_host="db", workers=0))
    assert "found only if they share" in doubt


class Printed:
    """A command that runs until the test has seen enough of what it prints."""

    def __init__(self, log: Path, process: subprocess.Popen[bytes]) -> None:
        self._log, self.process = log, process

    def text(self) -> str:
        return self._log.read_text()

    def wait_for(self, words: str) -> str:
        wait_until(lambda: words in self.text(), 30, self.text)
        return self.text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Printed]]:
    processes: list[subprocess.Popen[bytes]] = []

    def run(*module: str, **settings: object) -> Printed:
        log = tmp_path / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                env=clean_environment(tmp_path, **settings),
                cwd=tmp_path,
                stdout=output,
                stderr=output,
            )
        processes.append(process)
        return Printed(log, process)

    yield run
    for process in processes:
        process.terminate()
        process.wait(timeout=30)


def curl_line(printed: str) -> str:
    (line,) = [one for one in printed.splitlines() if "curl" in one]
    return line.partition("Picture:")[2].strip()


def run_line(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


@needs_curl
def test_the_curl_line_it_prints_gives_a_picture(start: Callable[..., Printed], tmp_path: Path) -> None:
    port = servers.free_port()
    server = start("diffusionapi", port=port, host="127.0.0.1")
    printed = server.wait_for("running on")
    assert f"Docs:     http://127.0.0.1:{port}/docs" in printed
    assert "Engine:   fake: " in printed
    ended = run_line(curl_line(printed), tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("picture.jpg\n")
    with Image.open(tmp_path / "picture.jpg") as picture:
        assert picture.size == (512, 512)


@needs_curl
def test_the_curl_line_stops_and_says_so_when_nobody_answers(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, host="127.0.0.1", port=servers.free_port(), engine="fake")
    ended = run_line(curl_line(banner(settings)), tmp_path)
    assert ended.returncode != 0
    assert ended.stderr.startswith("curl: (7)")
    assert ended.stderr.count("curl:") == 1


def test_a_free_port_is_chosen_and_told_for_port_0(start: Callable[..., Printed]) -> None:
    printed = start("diffusionapi", port=0, host="127.0.0.1").wait_for("running on")
    (url,) = [line.split()[1] for line in printed.splitlines() if "Server:" in line]
    assert not url.endswith(":0")
    assert f"running on {url}" in printed


def test_every_line_after_the_banner_is_json_when_that_is_wanted(start: Callable[..., Printed]) -> None:
    settings = {"port": servers.free_port(), "host": "127.0.0.1", "log_format": "json"}
    printed = start("diffusionapi", **settings).wait_for("running on")
    lines = [line for line in printed.splitlines() if line and not line.startswith("  ")]
    messages = [json.loads(line)["message"] for line in lines]
    assert any(message.startswith("Started server process") for message in messages)


def test_a_worker_says_what_it_works_on_and_works_though_servers_have_none(
    start: Callable[..., Printed],
) -> None:
    printed = start("diffusionapi.worker", workers=0).wait_for("works on")
    assert "works on file:queue with the engine 'fake'" in printed


def test_the_banner_names_the_engine(tmp_path: Path) -> None:
    def line(**settings: Any) -> str:
        return engine_line(Settings(data_dir=tmp_path, **settings))

    pull = ".venv/bin/python -m diffusionapi.models pull org/name"
    assert f"; no models installed; {pull}" in line(engine="fake")
    assert line(engine="diffusers").startswith("diffusers; no models installed; ")
    (tmp_path / "stable_diffusion/models").mkdir(parents=True)
    (tmp_path / "stable_diffusion/models/one.safetensors").touch()
    assert line(engine="diffusers") == "diffusers; 1 model installed; one when a request names none"
    assert "1 model installed; ENGINE=diffusers renders for real" in line(engine="fake")
    (tmp_path / "stable_diffusion/models/picturebook.safetensors").touch()
    full = pull.replace("org/name", "stable-diffusion-v1-5/stable-diffusion-v1-5")
    assert f"; {full} fetches a full one" in line(engine="diffusers")
    assert "WORKERS=0" in line(engine="fake", workers=0)


def test_https_is_chosen_when_certificate_and_key_are_there(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine="fake")
    assert "http://localhost:7866" in banner(settings)
    (tmp_path / "cert.pem").touch()
    assert "http://localhost:7866" in banner(settings)
    (tmp_path / "key.pem").touch()
    assert settings.tls_files == (tmp_path / "cert.pem", tmp_path / "key.pem")
    assert "https://localhost:7866" in banner(settings)
    assert settings.model_copy(update={"ssl_certfile": ""}).tls_files is None


def test_an_address_of_ipv6_is_written_in_brackets(tmp_path: Path) -> None:
    assert "http://[::1]:7866/docs" in banner(Settings(data_dir=tmp_path, engine="fake", host="::1"))


def test_a_port_in_use_is_said_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        problem = address_problem(Settings(host="127.0.0.1", port=port), "http://here")
    assert problem is not None
    assert "running already? http://here" in problem
    assert f"PORT={port + 1} ./init.sh" in problem
    assert address_problem(Settings(host="127.0.0.1", port=servers.free_port()), "") is None


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1", "a..b"])
def test_a_host_that_is_none_is_answered_with_advice_about_the_host(host: str) -> None:
    problem = address_problem(Settings(host=host, port=servers.free_port()), "")
    assert problem is not None
    assert f"Setting HOST: '{host}' is " in problem
    assert "use 0.0.0.0" in problem
    assert "PORT" not in problem


def test_a_port_that_was_chosen_stays() -> None:
    assert free_port(Settings(port=1234)).port == 1234


@pytest.mark.parametrize("kind", STARTS)
def test_what_is_wrong_stops_every_start_with_a_sentence_and_makes_nothing(tmp_path: Path, kind: str) -> None:
    (tmp_path / "taken").touch()
    ended = subprocess.run(
        [sys.executable, "-m", *STARTS[kind]],
        env=clean_environment(tmp_path, outputs_dir="taken/outputs", job_store="file:taken"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"Setting OUTPUTS_DIR: {tmp_path}/taken is not a folder",
        f"Setting JOB_STORE: {tmp_path}/taken is not a folder",
    ]
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"data_dir": "none"}, "Setting DATA_DIR: there is no folder {here}/none"),
        ({"uploads_dir": "file/uploads"}, "Setting UPLOADS_DIR: {here}/file is not a folder"),
        ({"default_model": "zzz"}, "Setting DEFAULT_MODEL: unknown model 'zzz'; known: fake"),
        ({"default_model": "Amanatsu", "model_labels": PROJECT / "model_labels.json"}, "is not installed"),
        ({"model_labels": "none.json"}, "Setting MODEL_LABELS: there is no file {here}/none.json"),
        ({"model_labels": "file"}, "Setting MODEL_LABELS: file is not valid JSON"),
        ({"api_keys": ":"}, "Setting API_KEYS: the key 'API_KEYS 1' is empty; write NAME:KEY or KEY"),
        ({"api_keys": "a-key-that-nobody-guesses, shop:"}, "Setting API_KEYS: the key 'shop' is empty"),
        ({"job_store": "memory:", "workers": 0}, "Setting WORKERS: with JOB_STORE=memory:"),
    ],
)
def test_what_keeps_a_server_from_working_is_found(
    tmp_path: Path, settings: dict[str, Any], sentence: str
) -> None:
    (tmp_path / "file").touch()
    given = {"data_dir": tmp_path} | settings
    given["data_dir"] = tmp_path / given["data_dir"]
    (problem,) = problems(Settings(**given))
    assert sentence.format(here=tmp_path) in problem


def test_a_folder_that_has_yet_to_be_made_is_no_problem(tmp_path: Path) -> None:
    assert problems(Settings(data_dir=tmp_path, outputs_dir=tmp_path / "a/b")) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("setting", ["loras_dir", "trainings_dir"])
def test_a_folder_that_trainings_could_not_write_to_is_doubted_where_they_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and access(path, mode))
    given = {"data_dir": tmp_path, setting: closed}
    (doubt,) = doubts(Settings.model_validate(given))
    assert doubt.startswith(f"Setting {setting.upper()}: {closed} cannot be written to by this user")
    assert doubts(Settings.model_validate(given | {"workers": 0})) == []


def test_a_folder_of_models_that_is_not_there_is_doubted(tmp_path: Path) -> None:
    (doubt,) = doubts(Settings(data_dir=tmp_path, models_dir=tmp_path / "modles"))
    assert doubt.startswith(f"Setting MODELS_DIR: there is no folder {tmp_path}/modles")
    assert doubts(Settings(data_dir=tmp_path)) == []


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A folder with cert.pem and key.pem, and another key."""
    for name in ("pair", "other"):
        subprocess.run(
            [PROJECT / "generate_ssl_certs.sh", "--out", tmp_path / name], check=True, capture_output=True
        )
    shutil.move(tmp_path / "other/key.pem", tmp_path / "pair/other.pem")
    return tmp_path / "pair"


@needs_openssl
@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ssl_certfile": "none.pem"}, "Setting SSL_CERTFILE: there is no file {here}/none.pem"),
        ({"ssl_keyfile": "none.pem"}, "Setting SSL_KEYFILE: there is no file {here}/none.pem"),
        ({"ssl_keyfile": "other.pem"}, "{here}/other.pem does not belong to the certificate {here}/cert.pem"),
        ({"ssl_keyfile": "cert.pem"}, "are not a certificate and its key"),
        ({"ssl_certfile": "cert.pem", "ssl_keyfile": ""}, "Setting SSL_KEYFILE is empty"),
        ({}, None),
        ({"ssl_certfile": ""}, None),
        ({"ssl_certfile": "", "ssl_keyfile": ""}, None),
    ],
)
def test_a_pair_that_cannot_be_served_is_found(
    pair: Path, settings: dict[str, Any], sentence: str | None
) -> None:
    problem = tls_problem(Settings(data_dir=pair, **settings))
    if sentence is None:
        assert problem is None
    else:
        assert problem is not None
        assert sentence.format(here=pair) in problem


@needs_openssl
def test_half_a_pair_is_named(pair: Path) -> None:
    (pair / "key.pem").unlink()
    assert f"{pair}/key.pem is not; HTTPS needs both" in str(tls_problem(Settings(data_dir=pair)))


@needs_openssl
def test_a_key_with_a_passphrase_is_refused_without_asking_for_it(pair: Path) -> None:
    subprocess.run(
        ["openssl", "pkey", "-in", "key.pem", "-aes256", "-passout", "pass:x", "-out", "locked.pem"],  # noqa: S607
        cwd=pair,
        check=True,
        capture_output=True,
    )
    problem = tls_problem(Settings(data_dir=pair, ssl_keyfile="locked.pem"))
    assert "without a passphrase" in str(problem)
