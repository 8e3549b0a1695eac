from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from diffusionapi.database import Database
from diffusionapi.errors import StorageUnavailable

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY);"


def a_database(file: Path | None) -> Database:
    return Database(file, SCHEMA, what="words")


def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    database = a_database(tmp_path / "words.sqlite")
    database.close()
    assert list(tmp_path.iterdir()) == []


def test_a_change_that_raises_leaves_nothing(tmp_path: Path) -> None:
    database = a_database(tmp_path / "words.sqlite")
    with pytest.raises(KeyError), database.change() as change:
        change.execute("INSERT INTO words VALUES ('one')")
        raise KeyError
    with database.change() as change:
        change.execute("INSERT INTO words VALUES ('two')")
    assert database.look("SELECT word FROM words") == [("two",)]
    database.close()


@pytest.mark.parametrize("in_memory", [True, False])
def test_threads_share_it(tmp_path: Path, in_memory: bool) -> None:
    database = a_database(None if in_memory else tmp_path / "words.sqlite")

    def write(number: int) -> None:
        with database.change() as change:
            change.execute("INSERT INTO words VALUES (?)", (str(number),))
        assert (str(number),) in database.look("SELECT word FROM words")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(64)))
    assert len(database.look("SELECT word FROM words")) == 64
    database.close()


def test_connections_that_make_it_at_once_all_get_it(tmp_path: Path) -> None:
    for number in range(20):
        file = tmp_path / f"{number}.sqlite"
        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(lambda _, file=file: a_database(file), range(8)))
            list(threads.map(Database.open, made))
        for one in made:
            one.close()


def test_processes_that_make_it_at_once_all_get_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.test_database import a_database\n"
        "with a_database(Path(sys.argv[1])).change() as change:\n"
        "    change.execute('INSERT INTO words VALUES (?)', (sys.argv[2],))"
    )
    file = tmp_path / "words.sqlite"
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(file), str(number)]) for number in range(3)
    ]
    assert [one.wait() for one in running] == [0] * 3
    database = a_database(file)
    assert len(database.look("SELECT word FROM words")) == 3
    database.close()


def test_nobody_else_on_the_machine_reads_it(tmp_path: Path) -> None:
    database = a_database(tmp_path / "words.sqlite")
    with database.change() as change:
        change.execute("INSERT INTO words VALUES ('one')")
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    database.close()


def test_what_goes_wrong_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "words.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(StorageUnavailable, match="The words cannot be read or written"):
        a_database(tmp_path / "words.sqlite").look("SELECT word FROM words")
    with pytest.raises(StorageUnavailable, match="The words"):
        a_database(tmp_path / "nowhere" / "words.sqlite").open()
