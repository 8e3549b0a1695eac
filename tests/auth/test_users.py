from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from diffusionapi.auth.users import Users
from diffusionapi.errors import NameTaken, StorageUnavailable
from tests.one_or_many import of_one_machine
from tests.server import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.settings import Settings


@pytest.fixture
def users(settings: Settings) -> Iterator[Users]:
    users = Users(settings)
    yield users
    users.close()


def test_a_user_is_known_to_all_processes(users: Users, settings: Settings) -> None:
    users.add("bob", "hash")
    others = Users(settings)
    assert others.password("bob") == users.password("bob") == "hash"
    assert others.password("Bob") is None
    others.close()


def test_a_name_is_given_once_however_many_ask_at_once(users: Users, settings: Settings) -> None:
    others = Users(settings)

    def sign_up(number: int) -> bool:
        try:
            (users if number % 2 else others).add("bob", str(number))
        except NameTaken:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(sign_up, range(64))) == 1
    others.close()


def test_passing_users_are_forgotten_and_others_are_not(users: Users) -> None:
    users.add("bob", "hash")
    users.add("default_1", "hash", passing=True)
    users.forget_passing(made_before=0)
    assert users.password("default_1") is not None
    users.forget_passing(made_before=1e12)
    assert users.password("default_1") is None
    assert users.password("bob") is not None


@of_one_machine
def test_nobody_else_on_the_machine_reads_the_file(users: Users, tmp_path: Path) -> None:
    users.add("bob", "hash")
    for file in tmp_path.glob("users.sqlite*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_users_survive_a_killed_server(users: Users, settings: Settings) -> None:
    program = (
        "import os; from diffusionapi.auth.users import Users; from diffusionapi.settings import Settings; "
        "Users(Settings()).add('bob', 'hash'); os.kill(os.getpid(), 9)"
    )
    environment = clean_environment(settings.data_dir, job_store=settings.job_store)
    subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert users.password("bob") == "hash"


@of_one_machine
def test_a_file_that_is_no_database_is_said_so(users: Users, tmp_path: Path) -> None:
    (tmp_path / "users.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(StorageUnavailable, match="users"):
        users.password("bob")
