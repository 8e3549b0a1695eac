from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from diffusionapi.env_files import doubts
from diffusionapi.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = [name.upper() for name in Settings.model_fields]
FOREIGN = """
    PATH HOME LANG USER PS1 TERM SHELL PWD MAIL EDITOR DISPLAY TZ TMPDIR HOSTNAME PYTHONPATH VIRTUAL_ENV DEBUG
    APP_KEY APP_PORT DATABASE_URL DB_HOST DB_PORT DB_PASSWORD POSTGRES_HOST POSTGRES_PASSWORD PGHOST PGPORT
    REDIS_URL REDIS_DB SECRET_KEY_BASE JWT_SECRET SMTP_HOST SMTP_PORT MAIL_PASSWORD AWS_DEFAULT_REGION
    AWS_SESSION_TOKEN S3_BUCKET OPENAI_API_KEY HF_TOKEN HF_HOME TORCH_HOME CUDA_VISIBLE_DEVICES
    OMP_NUM_THREADS COMPOSE_PROJECT_NAME DOCKER_HOST PUID HTTP_PROXY NO_PROXY UVICORN_PORT NODE_ENV POST
"""


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("PROT", "PORT"),
        ("HSOT", "HOST"),
        ("port_", "PORT"),
        ("PRT", "PORT"),
        ("BLOVS", "BLOBS"),
        ("ENIGNE", "ENGINE"),
        ("MAXSIDE", "MAX_SIDE"),
        ("API_KEY", "API_KEYS"),
        ("AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_slip_of_the_pen_is_doubted(tmp_path: Path, slip: str, meant: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"# ours\n{slip}=9\n")
    assert list(doubts(file, KNOWN)) == [f"{file}, line 2: {slip} is no setting; did you mean {meant}?"]


def test_names_of_other_programs_are_not_doubted(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("".join(f"{name}=1\n" for name in FOREIGN.split()))
    assert list(doubts(file, KNOWN)) == []
