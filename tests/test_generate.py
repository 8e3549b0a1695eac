"""The command line: one picture without a server, and the list of labels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.server import PROJECT, clean_environment


def run(data_dir: Path, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=clean_environment(data_dir, fake_step_seconds=0),
        cwd=data_dir,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def generate(data_dir: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return run(data_dir, "-m", "diffusionapi.generate", *arguments, stdin=stdin)


def test_one_picture_with_a_progress_bar_and_no_server(tmp_path: Path) -> None:
    ended = generate(tmp_path, "--prompt", "a cat", "--out", "cat.png", "--width", "128", "--seed", "5")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "cat.png  128x512  seed 5\n"
    assert "100%" in ended.stderr
    with Image.open(tmp_path / "cat.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (128, 512))


def test_a_job_may_come_as_json(tmp_path: Path) -> None:
    body = {"prompt": "a cat", "width": 64, "height": 64, "seed": 5}
    ended = generate(tmp_path, "--out", "cat.jpg", stdin=json.dumps(body))
    assert ended.returncode == 0, ended.stderr
    with Image.open(tmp_path / "cat.jpg") as picture:
        assert picture.format == "JPEG"


def test_it_gives_the_picture_that_the_server_gives(tmp_path: Path) -> None:
    first, second = (
        generate(tmp_path, "--prompt", "a cat", "--out", f"{n}.png", "--seed", "5") for n in "ab"
    )
    assert first.returncode == second.returncode == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (["--prompt", "x", "--steps", "0"], "", "steps: input should be greater than or equal to 1, got 0"),
        (["--prompt", "x", "--model", "zzz"], "", "model: unknown model 'zzz'"),
        (["--prompt", "x", "--out", "x.webp"], "", "fileType: "),
        (["--prompt", "#fail@1"], "", "asked the fake engine to fail"),
        ([], "{", "Standard input is not valid JSON"),
        ([], "[]", "must be a JSON object"),
        ([], "{}", "prompt: is required"),
        (["--prompt", "x", "--out", "no/such/folder/x.png"], "", "Cannot use folder/x.png"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, arguments: list[str], stdin: str, sentence: str
) -> None:
    ended = generate(tmp_path, *arguments, stdin=stdin)
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_labels_are_printed_as_label_and_name(tmp_path: Path) -> None:
    lines = run(tmp_path, str(PROJECT / "list_models.py")).stdout.splitlines()
    assert len(lines) == 7
    assert lines[0] == "Amanatsu -> John6666__amanatsu-illustrious-v11-sdxl"


def test_the_labels_are_printed_as_json(tmp_path: Path) -> None:
    table = json.loads(run(tmp_path, str(PROJECT / "list_models.py"), "--json").stdout)
    assert table["models--digiplay--ChikMix_V3"] == "ChikMix V3"


def test_the_documented_python_lines_work(tmp_path: Path) -> None:
    program = (
        "from diffusionapi.generate import get_model_labels\n"
        "labels = get_model_labels()\n"
        "for model_name, label in labels.items():\n"
        "    print(f'{label} -> {model_name}')\n"
    )
    ended = run(tmp_path, "-c", program)
    assert "MeinaMix V11 -> models--Meina--MeinaMix_V11" in ended.stdout.splitlines()
