"""Redis' client is an extra: who keeps jobs in files needs none, others are told what to install."""

from __future__ import annotations

import subprocess
import sys

from diffusionapi.settings import PROJECT


def run(program: str) -> str:
    """In a Python in which there is no such package."""
    without = "import sys; sys.modules['redis'] = None; "
    done = subprocess.run(
        [sys.executable, "-c", without + program], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    return done.stdout.strip()


def test_servers_and_workers_start_without_it() -> None:
    assert run("import diffusionapi.main, diffusionapi.worker.__main__; print('here')") == "here"


def test_who_names_a_redis_is_told_what_to_install() -> None:
    told = run(
        "from diffusionapi.errors import Misconfigured\n"
        "from diffusionapi.jobs.open import open_store\n"
        "from diffusionapi.settings import Settings\n"
        "try: open_store(Settings(job_store='redis://localhost:1/0'))\n"
        "except Misconfigured as error: print(error.sentence)"
    )
    assert "pip install -c constraints.txt -e '.[redis]'" in told
