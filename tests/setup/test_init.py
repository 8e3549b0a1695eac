"""init.sh: what it does, skips and says; stubs stand for Python, pip and the server."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from diffusionapi.settings import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ("bash", "cat", "cksum", "cp", "dirname", "env", "grep", "mkdir", "rm", "tail")
FOLDERS = ("outputs", "stable_diffusion/models", "stable_diffusion/loras", "stable_diffusion/upscalers")

# Python as far as init.sh uses it. Every call is noted; variables make it fail where a test wants it.
PYTHON = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
    "-c import sys"*) exit "${TOO_OLD:-0}" ;;
    "-c import ensurepip"*) exit "${NO_ENSUREPIP:-0}" ;;
    "-c import importlib.metadata"*) echo "${TORCH:-2.13.0+cpu}" ;;
    "-m venv "*)
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        [[ -z ${VENV_FAILS:-} ]] || exit 1
        echo "#!$PWD/$3/bin/python" >"$3/bin/pip"
        ;;
    "-m pip install"*"${PIP_FAILS_AT:-nothing}"*)
        printf 'line %s\\n' {1..30} "${PIP_SAYS:-}"
        exit 1
        ;;
    "-m diffusionapi --check") exit "${PORT_TAKEN:-0}" ;;
    "-m diffusionapi") echo "serving as $$ in $PWD" ;;
esac
"""


def write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)


class Home:
    """A copy of the project's set-up in a folder with a blank in its name, and a PATH with little on it."""

    def __init__(self, parent: Path) -> None:
        self.folder = parent / "the project"
        self.tools = parent / "tools"
        self.calls_file = parent / "calls"
        self.folder.mkdir()
        self.tools.mkdir()
        for name in ("init.sh", "pyproject.toml", "constraints.txt"):
            shutil.copy(PROJECT / name, self.folder)
        for name in TOOLS:
            (self.tools / name).symlink_to(shutil.which(name) or name)
        write_script(self.tools / "python3.11", PYTHON)

    def init(self, *flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.tools), "CALLS": str(self.calls_file), **variables}
        self.calls_file.write_text("")
        return subprocess.run(
            [self.folder / "init.sh", *flags], env=env, cwd="/", capture_output=True, text=True, check=False
        )

    @property
    def calls(self) -> list[str]:
        """What Python was asked to do by the last `init`."""
        return self.calls_file.read_text().splitlines()

    @property
    def installs(self) -> list[str]:
        """What the last `init` had installed: the last word of each call of pip."""
        return [call.split()[-1] for call in self.calls if call.startswith("-m pip install")]

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def snapshot(self) -> set[tuple[str, float]]:
        return {(str(path), path.stat().st_mtime) for path in self.folder.rglob("*")}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def ready_home(home: Home) -> Home:
    assert home.init("--no-start").returncode == 0
    return home


def test_the_first_start_sets_everything_up_and_serves(home: Home) -> None:
    outcome = home.init()
    assert outcome.returncode == 0, outcome.stderr
    assert home.installs == ["torch", ".", "spandrel"]
    assert all((home.folder / folder).is_dir() for folder in FOLDERS)
    assert outcome.stdout.endswith(f"in {home.folder}\n")


def test_every_install_is_held_to_the_constraints(home: Home) -> None:
    home.init("--dev", "--no-start")
    pip_calls = [call for call in home.calls if call.startswith("-m pip install")]
    assert len(pip_calls) == 3
    assert all("-c constraints.txt" in call for call in pip_calls)


def test_signals_reach_the_server_because_it_takes_the_place_of_the_script(home: Home) -> None:
    env = {"PATH": str(home.tools), "CALLS": str(home.calls_file)}
    with subprocess.Popen([home.folder / "init.sh"], env=env, stdout=subprocess.PIPE, text=True) as process:
        printed, _ = process.communicate()
    assert f"serving as {process.pid} in" in printed


def test_the_second_start_installs_nothing(ready_home: Home) -> None:
    outcome = ready_home.init()
    assert outcome.stdout.startswith("serving")
    assert ready_home.installs == []


def test_no_start_sets_up_without_serving(home: Home) -> None:
    outcome = home.init("--no-start")
    assert "-m diffusionapi" not in home.calls
    assert "./init.sh starts the server" in outcome.stdout


def test_dev_installs_the_tools_and_serves_a_plain_start_too(home: Home) -> None:
    home.init("--dev", "--no-start")
    assert home.installs == ["torch", ".[dev]", "spandrel"]
    home.init()
    assert home.installs == []


def test_a_plain_install_is_not_enough_for_dev(ready_home: Home) -> None:
    ready_home.init("--dev", "--no-start")
    assert ready_home.installs == ["torch", ".[dev]", "spandrel"]


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed(ready_home: Home, file: str) -> None:
    with (ready_home.folder / file).open("a") as opened:
        opened.write("# changed\n")
    ready_home.init()
    assert ready_home.installs == ["torch", ".", "spandrel"]


def test_a_failed_install_is_taken_up_again_even_for_what_was_in_before(ready_home: Home) -> None:
    assert ready_home.init("--dev", "--no-start", PIP_FAILS_AT="[dev]").returncode == 1
    assert ready_home.init().returncode == 0
    assert ready_home.installs == ["torch", ".", "spandrel"]


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("ERROR: Operation cancelled by user", "Interrupted"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("NewConnectionError('...')", "check the network"),
        ("something else", ".venv/install.log"),
    ],
)
def test_a_failed_install_shows_its_last_lines_and_what_to_do(home: Home, said: str, advice: str) -> None:
    outcome = home.init(PIP_FAILS_AT="torch", PIP_SAYS=said)
    assert outcome.returncode == 1
    shown = outcome.stderr.splitlines()
    assert shown[0] == "line 12"
    assert shown[19] == f"line {said}"
    assert advice in shown[-1]
    assert "line" not in outcome.stdout


def test_a_cpu_takes_torch_from_the_index_for_cpus_without_waiting_long_for_it(home: Home) -> None:
    home.init()
    torch = next(call for call in home.calls if call.endswith("torch"))
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in torch
    assert "--retries 1 --timeout 8 --no-deps" in torch


def test_a_gpu_that_nvidia_smi_lists_is_used(home: Home) -> None:
    write_script(home.tools / "nvidia-smi", "#!/usr/bin/env bash\necho 'GPU 0: Something (UUID: GPU-1)'\n")
    outcome = home.init(TORCH="2.13.0")
    assert "torch for cuda" in outcome.stdout
    assert "-m pip install -c constraints.txt torch" in home.calls


def test_a_driver_without_a_gpu_leaves_the_cpu(home: Home) -> None:
    write_script(home.tools / "nvidia-smi", "#!/usr/bin/env bash\necho 'No devices found.'\n")
    assert "torch for cpu" in home.init().stdout


def test_the_device_can_be_chosen_and_a_cpu_build_makes_room_for_it(ready_home: Home) -> None:
    outcome = ready_home.init(DEVICE="cuda")
    pip_calls = [call for call in ready_home.calls if call.startswith("-m pip")]
    assert pip_calls[:2] == ["-m pip uninstall --yes torch", "-m pip install -c constraints.txt torch"]
    assert "Only a CPU build of torch was found" in outcome.stdout


def test_a_device_that_is_none_is_named(home: Home) -> None:
    outcome = home.init(DEVICE="toaster")
    assert outcome.returncode == 1
    assert "DEVICE='toaster'" in outcome.stderr
    assert not home.venv.exists()


def test_without_python_the_packages_to_install_are_named(home: Home) -> None:
    (home.tools / "python3.11").unlink()
    outcome = home.init()
    assert outcome.returncode == 1
    assert "apt-get install python3 python3-venv" in outcome.stderr


def test_a_python_that_is_too_old_is_not_taken(home: Home) -> None:
    assert "Python 3.11 or newer is needed" in home.init(TOO_OLD="1").stderr


def test_a_newer_python_is_taken_where_an_older_name_does_not_run(home: Home) -> None:
    write_script(home.tools / "python3.13", PYTHON)
    write_script(home.tools / "python3.11", "#!/usr/bin/env bash\nexit 127\n")
    assert "python3.13" in home.init().stdout


def test_python_can_be_chosen(home: Home, tmp_path: Path) -> None:
    chosen = tmp_path / "my python"
    write_script(chosen, PYTHON)
    assert f"Making .venv with {chosen}" in home.init(PYTHON=str(chosen)).stdout
    shutil.rmtree(home.venv)
    assert "PYTHON='nonsense'" in home.init(PYTHON="nonsense").stderr


def test_a_python_that_cannot_make_virtual_environments_is_mended_by_a_named_package(home: Home) -> None:
    outcome = home.init(NO_ENSUREPIP="1")
    assert outcome.returncode == 1
    assert "apt-get install python3-venv" in outcome.stderr
    assert not home.venv.exists()


def test_a_virtual_environment_that_could_not_be_made_is_removed(home: Home) -> None:
    assert home.init(VENV_FAILS="1").returncode == 1
    assert not home.venv.exists()


def test_a_half_made_virtual_environment_is_made_anew(ready_home: Home) -> None:
    (ready_home.venv / "bin/pip").unlink()
    outcome = ready_home.init()
    assert "half-made" in outcome.stdout
    assert ready_home.installs == ["torch", ".", "spandrel"]


def test_a_moved_project_makes_its_virtual_environment_anew(ready_home: Home, tmp_path: Path) -> None:
    ready_home.folder = ready_home.folder.rename(tmp_path / "moved")
    assert "was moved" in ready_home.init().stdout
    assert ready_home.installs == ["torch", ".", "spandrel"]


def test_check_on_a_fresh_copy_changes_nothing_and_names_what_mends_it(home: Home) -> None:
    before = home.snapshot()
    outcome = home.init("--check")
    assert outcome.returncode == 1
    assert home.snapshot() == before
    assert "missing  .venv: ./init.sh --no-start" in outcome.stdout
    assert all(f"missing  {folder}/: mkdir -p {folder}" in outcome.stdout for folder in FOLDERS)


def test_check_names_a_missing_python_and_a_missing_ensurepip(home: Home) -> None:
    assert "apt-get install python3-venv" in home.init("--check", NO_ENSUREPIP="1").stdout
    (home.tools / "python3.11").unlink()
    assert "apt-get install python3 python3-venv" in home.init("--check").stdout


def test_check_is_content_after_set_up_and_asks_the_server_about_its_port(ready_home: Home) -> None:
    before = ready_home.snapshot()
    outcome = ready_home.init("--check")
    assert outcome.returncode == 0
    assert "missing" not in outcome.stdout
    assert "-m diffusionapi --check" in ready_home.calls
    assert ready_home.init("--check", PORT_TAKEN="1").returncode == 1
    assert ready_home.snapshot() == before


def test_check_for_dev_names_the_command_for_dev(ready_home: Home) -> None:
    outcome = ready_home.init("--check", "--dev")
    assert outcome.returncode == 1
    assert "missing  packages for cpu: ./init.sh --dev --no-start" in outcome.stdout


def test_help_names_every_flag(home: Home) -> None:
    outcome = home.init("--help")
    assert outcome.returncode == 0
    assert all(
        flag in outcome.stdout for flag in ("--no-start", "--dev", "--check", "--help", "DEVICE", "PYTHON")
    )
    assert home.calls == []


def test_an_unknown_flag_is_answered_with_a_sentence(home: Home) -> None:
    outcome = home.init("--nonsense")
    assert outcome.returncode == 2
    assert "'--nonsense'" in outcome.stderr
    assert home.calls == []
