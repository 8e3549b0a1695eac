"""compose.yaml, the Dockerfile and deploy/: what they name is there."""

from __future__ import annotations

import configparser
import re
import shlex
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from diffusionapi.core.lane import Lane
from diffusionapi.jobs.redis.names import key, write_lane
from diffusionapi.settings import PROJECT, Settings
from diffusionapi.worker.__main__ import _parser

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())
UNITS = sorted((PROJECT / "deploy").glob("*.service"))


def services(profile: str) -> dict[str, Any]:
    return {name: one for name, one in COMPOSE["services"].items() if profile in one["profiles"]}


def worker_arguments(command: str) -> Any:
    """What a worker makes of a command line, as compose.yaml or a unit has it."""
    command = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", command).replace("%i", "cuda:0")
    program, *arguments = shlex.split(command)
    assert program.endswith("python")
    assert arguments[:2] == ["-m", "diffusionapi.worker"]
    return _parser().parse_args(arguments[2:])


def test_both_profiles_have_a_redis_a_server_and_five_workers() -> None:
    cpu, gpu = services("cpu"), services("gpu")
    assert {"redis", "api"} <= cpu.keys() & gpu.keys()
    assert cpu["worker"]["deploy"]["replicas"] * worker_arguments(cpu["worker"]["command"]).count == 5
    assert worker_arguments(gpu["worker-gpu"]["command"]).count == 5
    assert gpu["worker-gpu"]["build"]["args"]["DEVICE"] == "cuda"


def test_its_redis_forgets_nothing() -> None:
    words = COMPOSE["services"]["redis"]["command"]
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"


def test_its_redis_has_the_password_that_programs_are_told() -> None:
    service, password = COMPOSE["services"]["redis"], "${REDIS_PASSWORD:-}"
    assert service["command"][-2:] == ["--requirepass", password]
    assert service["environment"]["REDISCLI_AUTH"] == password
    assert "-e" in service["healthcheck"]["test"]  # or it would be content with a refusal
    assert "REDIS_PASSWORD" in {name.upper() for name in Settings.model_fields}


def test_programs_are_told_settings_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name.upper() for name in Settings.model_fields}
    image = re.findall(r"(\w+)=(\S+)", "".join(re.findall(r"^ENV (.*)$", dockerfile(), re.MULTILINE)))
    assert {name for name, _ in image} - {"PYTHONUNBUFFERED"} <= known
    for service in ("api", "worker", "worker-gpu"):
        given = COMPOSE["services"][service]["environment"]
        assert given.keys() <= known
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        assert Settings.load().redis_url == "redis://redis:6379/0"


def dockerfile() -> str:
    return (PROJECT / "Dockerfile").read_text()


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    wanted = {
        name for line in re.findall(r"^COPY (.*) \S+$", dockerfile(), re.MULTILINE) for name in line.split()
    }
    let_in = {
        line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert wanted == let_in
    assert all((PROJECT / name).exists() for name in wanted)


@pytest.mark.parametrize("unit", UNITS, ids=lambda one: one.name)
def test_a_unit_starts_a_program_that_there_is(unit: Any) -> None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text())
    service = parser["Service"]
    # Only its own process hears the signal, or engines would be gone before their jobs are given back.
    assert service["KillMode"] == "mixed"
    command = service["ExecStart"]
    if "worker" in unit.name:
        assert worker_arguments(command).device == "cuda:0"
    else:
        assert "uvicorn diffusionapi.main:app" in command
        assert service["Environment"] == "WORKERS=0"


def test_autoscaling_looks_at_a_stream_that_jobs_are_in() -> None:
    (stream, figures) = yaml.safe_load((PROJECT / "deploy/keda.yaml").read_text())["spec"]["triggers"]
    lane = Lane("generation", "stable-diffusion-v1-5")
    assert stream["metadata"]["stream"] == key("lane", write_lane(lane))
    # With a consumer group KEDA goes by what workers hold, and jobs that wait would count for nothing.
    assert stream["metadata"].keys() == {"address", "stream", "streamLength"}
    assert "diffusionapi_jobs_waiting" in figures["metadata"]["query"]
