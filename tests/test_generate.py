"""The command line: one picture without a server, and the list of labels."""

from __future__ import annotations

import base64
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from PIL import Image

from tests import stubs
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


def test_one_picture_without_a_server(tmp_path: Path) -> None:
    ended = generate(tmp_path, "--prompt", "a cat", "--out", "cat.png", "--width", "128", "--seed", "5")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "cat.png  128x512  seed 5\n"
    with Image.open(tmp_path / "cat.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (128, 512))


def on_a_terminal(data_dir: Path, *arguments: str, interrupt_at: str | None = None) -> tuple[int, str]:
    """The command's end and what it shows, with a terminal for all three of its streams."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 80))
    # Whoever ignores interrupts, as what a shell runs in the background does, starts what ignores them, too.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "diffusionapi.generate", *arguments],
        env=clean_environment(data_dir, fake_step_seconds=0 if interrupt_at is None else 0.2),
        cwd=data_dir,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, heard)
    os.close(its)
    shown = ""
    try:
        while piece := os.read(ours, 4096):
            shown += piece.decode()
            if interrupt_at is not None and interrupt_at in shown:
                process.send_signal(signal.SIGINT)
                interrupt_at = None
    except OSError:  # what Linux says at the end of a terminal
        pass
    os.close(ours)
    return process.wait(timeout=30), shown


def test_a_terminal_shows_a_progress_bar(tmp_path: Path) -> None:
    code, shown = on_a_terminal(tmp_path, "--prompt", "a cat", "--out", "cat.png")
    assert code == 0, shown
    assert "generation 100%|" in shown


def test_where_no_terminal_is_only_a_missing_model_is_told(tmp_path: Path) -> None:
    ended = generate(tmp_path, "--prompt", "a cat", "--out", "cat.png")
    assert ended.stderr.startswith("No model is installed, so the fake engine drew this; ")
    assert ended.stderr.count("\n") == 1


def test_without_a_request_the_usage_is_shown(tmp_path: Path) -> None:
    code, shown = on_a_terminal(tmp_path)
    assert code == 2
    assert "usage: " in shown
    assert "--prompt is needed" in shown


def test_an_interrupt_is_no_defect(tmp_path: Path) -> None:
    code, shown = on_a_terminal(tmp_path, "--prompt", "a cat", interrupt_at="generation")
    assert code == 130
    assert "Stopped" in shown
    assert "Traceback" not in shown


def test_what_was_done_otherwise_than_asked_for_is_told(tmp_path: Path) -> None:
    ended = generate(tmp_path, "--prompt", "a cat", "--out", "cat.png", "--sampler", "DDIM")
    assert "The schedule type 'karras' has no effect: DDIM has noise levels of its own" in ended.stderr


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
        (["--prompt", "x", "--steps", "0"], "", "steps: must be from 1 to 1000, got 0"),
        (["--prompt", "x", "--model", "zzz"], "", "model: unknown model 'zzz'"),
        (["--prompt", "x", "--out", "x.webp"], "", "fileType: "),
        (["--prompt", "#fail@1"], "", "asked the fake engine to fail"),
        ([], "{", "Standard input is not valid JSON"),
        ([], "[]", "must be a JSON object"),
        ([], "{}", "prompt: is required"),
        (["--prompt", "x", "--out", "no/such/folder/x.png"], "", "there is no folder {here}/no/such/folder"),
        (["--prompt", "#fail@1", "--out", "."], "", "--out .: this is a folder"),
        (["--prompt", "x", "--sampler-name", "zzz"], "", "sampler_name: unknown sampler 'zzz'"),
        (["--prompt", "x", "--scheduler-type", "zzz"], "", "scheduler_type: unknown"),
        (["--prompt", "x", "--clip-skip", "13"], "", "clip_skip: must be from 1 to 12"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, arguments: list[str], stdin: str, sentence: str
) -> None:
    ended = generate(tmp_path, *arguments, stdin=stdin)
    assert ended.returncode == 1
    assert sentence.format(here=tmp_path) in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.linear_gradient("L").resize((90, 60)).convert("RGB").save(tmp_path / "photo.jpg")
    mask = Image.new("L", (90, 60))
    mask.paste(255, (40, 20, 60, 40))
    mask.save(tmp_path / "mask.png")
    return tmp_path / "photo.jpg"


def test_a_picture_may_start_from_a_picture_and_has_its_size(tmp_path: Path, photo: Path) -> None:
    ended = generate(tmp_path, "--prompt", "a cat", "--image", str(photo), "--out", "cat.png", "--seed", "5")
    assert ended.stdout == "cat.png  88x64  seed 5\n", ended.stderr
    wider = generate(
        tmp_path, "--prompt", "a cat", "--image", "photo.jpg", "--out", "b.png", "--width", "128"
    )
    assert wider.stdout.startswith("b.png  128x64"), wider.stderr
    assert not (tmp_path / "uploads").exists()


def test_a_mask_says_what_is_painted(tmp_path: Path, photo: Path) -> None:
    options = ("--image", str(photo), "--seed", "5", "--strength", "0.9")
    for name, more in (
        ("all.png", ()),
        ("part.png", ("--mask", "mask.png")),
        ("none.png", ("--strength", "0")),
    ):
        ended = generate(tmp_path, "--prompt", "a cat", *options, "--out", name, *more)
        assert ended.returncode == 0, ended.stderr
    full, part, kept = (Image.open(tmp_path / f"{name}.png") for name in ("all", "part", "none"))
    assert part.getpixel((5, 5)) == kept.getpixel((5, 5)) != full.getpixel((5, 5))
    assert part.getpixel((50, 30)) == full.getpixel((50, 30))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--mask", "mask.png"], "--mask and --strength go with --image"),
        (["--strength", "0.5"], "--mask and --strength go with --image"),
        (["--image", "photo.jpg", "--strength", "2"], "--strength: must be from 0 to 1, got 2"),
        (["--image", "nothing.png"], "--image nothing.png: there is no such file"),
        (["--image", "broken.png"], "--image: "),
    ],
)
def test_what_is_wrong_with_a_source_is_said_in_a_sentence(
    tmp_path: Path, photo: Path, arguments: list[str], sentence: str
) -> None:
    (photo.parent / "broken.png").write_bytes(b"no picture")
    ended = generate(tmp_path, "--prompt", "x", *arguments)
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_flags_say_what_requests_say(tmp_path: Path, photo: Path) -> None:
    here = tmp_path / "stable_diffusion"
    stubs.a_controlnet(here / "controlnet" / "canny")
    stubs.a_vae(here / "vaes" / "sharp")
    asked = ("--prompt", "a cat", "--width", "64", "--height", "64", "--seed", "5")

    def made(*more: str) -> bytes:
        ended = generate(tmp_path, *asked, *more, "--out", "made.png")
        assert ended.returncode == 0, ended.stderr
        return (tmp_path / "made.png").read_bytes()

    pictures = [
        made(),
        made("--control", str(photo), "--hint", "canny"),
        made("--control", str(photo), "--hint", "canny", "--control-weight", "0.4"),
        made("--self-attention", "0.75"),
        made("--tiling", "both"),
        made("--vae", "sharp"),
        made("--upscale", "2:Nearest"),
    ]
    assert len(set(pictures)) == len(pictures)
    with Image.open(tmp_path / "made.png") as picture:
        assert picture.size == (128, 128)


def test_a_control_looks_at_the_picture_to_start_from(tmp_path: Path, photo: Path) -> None:
    stubs.a_controlnet(tmp_path / "stable_diffusion" / "controlnet" / "canny")
    body = {"prompt": "a cat", "seed": 5, "width": 64, "height": 64}
    named = {"hint": "canny", "image": base64.b64encode(photo.read_bytes()).decode()}
    options = ("--image", str(photo), "--hint", "canny")
    first = generate(tmp_path, "--prompt", "a cat", "--seed", "5", *options, "--out", "a.png")
    assert first.returncode == 0, first.stderr
    second = generate(tmp_path, "--out", "b.png", stdin=json.dumps(body | {"controls": [named]}))
    assert second.returncode == 0, second.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--hint", "canny"], "controls[0].model: "),
        (["--control", "nothing.png", "--hint", "canny"], "--control nothing.png: there is no such file"),
        (["--control-weight", "1"], "--control-weight goes with --control"),
        (["--upscale", "9"], "upscale.scale: must be from 1 to 4"),
        (["--upscale", "2:zzz"], "upscale.upscaler: unknown upscaler 'zzz'"),
        (["--vae", "zzz"], "vae: unknown VAE 'zzz'"),
    ],
)
def test_what_is_wrong_with_a_flag_is_said_in_a_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    ended = generate(tmp_path, "--prompt", "x", *arguments)
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_url_of_a_control_is_not_fetched(tmp_path: Path) -> None:
    stubs.a_controlnet(tmp_path / "stable_diffusion" / "controlnet" / "canny")
    body = {"prompt": "x", "controls": [{"hint": "canny", "image": "https://example.com/a.png"}]}
    ended = generate(tmp_path, stdin=json.dumps(body))
    assert ended.returncode == 1
    assert "controls[0].image: give the picture itself" in ended.stderr


def test_the_labels_are_printed_as_label_and_name(tmp_path: Path) -> None:
    lines = run(tmp_path, str(PROJECT / "list_models.py")).stdout.splitlines()
    assert len(lines) == 7
    assert lines[0] == "Amanatsu -> John6666__amanatsu-illustrious-v11-sdxl"


def test_a_reader_of_labels_may_leave_early(tmp_path: Path) -> None:
    """As `| head -1` does."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, str(PROJECT / "list_models.py")],
        env=clean_environment(tmp_path),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert ended.stderr == b""


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
