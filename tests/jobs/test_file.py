"""What only a store of files can suffer: other processes, strangers' files, lost indexes, full disks."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffusionapi.core.events import Finished, Picture, Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.errors import DamagedJob, StorageFull, StorageUnavailable, UnknownJob
from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.store import ADOPT_AFTER, IdempotencyKey
from tests.factories import a_ticket

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "queue"


@pytest.fixture
def store(folder: Path) -> Iterator[FileJobStore]:
    store = FileJobStore(folder)
    yield store
    store.close()


def job_files(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir() if not one.name.startswith("index.sqlite")}


def in_another_process(folder: Path, code: str) -> subprocess.Popen[str]:
    program = "from pathlib import Path; from diffusionapi.jobs.file import FileJobStore\n"
    program += f"store = FileJobStore(Path({str(folder)!r}))\n{code}"
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )


def test_a_job_is_two_files_with_the_documented_names(store: FileJobStore, folder: Path) -> None:
    job_id = store.submit(a_ticket(), limit=100)
    assert job_files(folder) == {f"{job_id}_job.json"}
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    assert job_files(folder) == {f"{job_id}_job.json", f"{job_id}.json"}
    assert json.loads((folder / f"{job_id}.json").read_bytes())["state"] == "running"


def test_a_file_with_a_second_name_left_by_a_kill_is_a_job_like_others(
    store: FileJobStore, folder: Path
) -> None:
    """A submit gives a finished file its name and then takes its first one away; a kill may come between."""
    job_id = store.submit(a_ticket(), limit=100)
    (folder / f".{job_id}_job.json.left").hardlink_to(folder / f"{job_id}_job.json")
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    claim.record(Finished(PICTURE))
    claim.release()
    store.forget(job_id)
    assert store.claim() is None
    with pytest.raises(UnknownJob):
        store.progress(job_id)


def test_forgetting_leaves_no_file(store: FileJobStore, folder: Path) -> None:
    job_id = store.submit(a_ticket(), limit=100)
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    store.cancel(job_id)
    claim.record(Finished(PICTURE))
    claim.release()
    store.forget(job_id)
    assert job_files(folder) == set()


def test_a_job_held_by_another_process_is_free_when_that_is_killed(store: FileJobStore, folder: Path) -> None:
    job_id = store.submit(a_ticket(), limit=100)
    other = in_another_process(folder, "claim = store.claim(); print(claim.ticket.id, flush=True); input()")
    with other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == job_id
        assert store.claim() is None
        other.kill()
        other.wait()
    claim = store.claim()
    assert claim is not None
    assert claim.ticket.id == job_id


def test_a_job_whose_holder_vanished_after_the_start_is_claimed_again(store: FileJobStore) -> None:
    job_id = store.submit(a_ticket(), limit=100)
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    claim.release()  # its state still says running, as after a kill
    again = store.claim()
    assert again is not None
    assert again.ticket.id == job_id
    assert again.progress.state is JobState.RUNNING


def test_a_job_of_another_process_wakes_this_one(store: FileJobStore, folder: Path) -> None:
    other = in_another_process(
        folder,
        "from tests.factories import a_ticket\ninput()\nprint(store.submit(a_ticket(), limit=9), flush=True)",
    )
    with other:
        assert other.stdin is not None
        pulse = store.pulse()
        other.stdin.write("\n")
        other.stdin.flush()
        store.wait(30, since=pulse)
        claim = store.claim()
        assert other.stdout is not None
        assert claim is not None
        assert claim.ticket.id == other.stdout.readline().strip()
        claim.release()


def test_the_queue_limit_counts_the_jobs_of_all_processes(store: FileJobStore, folder: Path) -> None:
    other = FileJobStore(folder)
    store.submit(a_ticket(), limit=2)
    other.submit(a_ticket(), limit=2)
    assert store.listing(10).waiting_total == other.listing(10).waiting_total == 2
    other.close()


@pytest.mark.parametrize("content", [b"", b'{"id": "x"', b"not json", b"[]", b"\xff\xfe", b"null"])
def test_a_job_file_that_cannot_be_read_is_an_error_of_that_job_alone(
    store: FileJobStore, folder: Path, content: bytes
) -> None:
    broken, good = (store.submit(a_ticket(), limit=100) for _ in range(2))
    (folder / f"{broken}_job.json").write_bytes(content)
    claim = store.claim()
    assert claim is not None
    assert claim.ticket.id == good
    progress = store.progress(broken)
    assert progress.state is JobState.FAILED
    assert progress.failure is not None
    assert "damaged" in progress.failure.sentence
    with pytest.raises(DamagedJob):
        store.ticket(broken)
    store.forget(broken)


def test_a_job_file_under_another_jobs_name_is_damaged(store: FileJobStore, folder: Path) -> None:
    first, second = (store.submit(a_ticket(), limit=100) for _ in range(2))
    (folder / f"{first}_job.json").write_bytes((folder / f"{second}_job.json").read_bytes())
    claim = store.claim()
    assert claim is not None
    assert claim.ticket.id == second
    assert store.progress(first).state is JobState.FAILED


def test_a_torn_progress_file_is_as_good_as_none(store: FileJobStore, folder: Path) -> None:
    job_id = store.submit(a_ticket(), limit=100)
    (folder / f"{job_id}.json").write_bytes(b'{"state": "runn')
    assert store.progress(job_id).state is JobState.QUEUED
    claim = store.claim()
    assert claim is not None


def test_a_job_whose_file_was_removed_by_hand_leaves_the_line(store: FileJobStore, folder: Path) -> None:
    removed, kept = (store.submit(a_ticket(), limit=100) for _ in range(2))
    (folder / f"{removed}_job.json").unlink()
    claim = store.claim()
    assert claim is not None
    assert claim.ticket.id == kept
    with pytest.raises(UnknownJob):
        store.progress(removed)
    assert store.listing(10).waiting_total == 1


def test_a_lost_index_is_made_anew_in_the_old_order(store: FileJobStore, folder: Path) -> None:
    submitted = [store.submit(a_ticket(), limit=100) for _ in range(5)]
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    claim.record(Finished(PICTURE))
    claim.release()
    store.close()
    for name, age in zip(submitted, range(50, 0, -10), strict=True):
        stamp = time.time() - age
        os.utime(folder / f"{name}_job.json", (stamp, stamp))
    for one in folder.glob("index.sqlite*"):
        one.unlink()
    again = FileJobStore(folder)
    assert [entry.job_id for entry in again.listing(10).waiting] == submitted[1:]
    assert again.progress(submitted[0]).state is JobState.DONE
    assert again.sweep(ended_before=time.time() + 1) == 1
    again.close()


def test_a_lost_index_is_made_anew_with_the_priorities(store: FileJobStore, folder: Path) -> None:
    late = store.submit(replace(a_ticket(), priority=-1), limit=100)
    early = store.submit(replace(a_ticket(), priority=1), limit=100)
    store.close()
    for one in folder.glob("index.sqlite*"):
        one.unlink()
    again = FileJobStore(folder)
    assert [entry.job_id for entry in again.listing(10).waiting] == [early, late]
    again.close()


def test_an_index_of_before_there_were_priorities_is_brought_up(store: FileJobStore, folder: Path) -> None:
    first, second = (store.submit(a_ticket(), limit=100) for _ in range(2))
    store.close()
    with closing(sqlite3.connect(folder / "index.sqlite")) as index:
        index.executescript(
            "DROP INDEX jobs_by_rank; ALTER TABLE jobs DROP COLUMN rank;"
            "ALTER TABLE jobs DROP COLUMN priority;"
            "CREATE INDEX jobs_by_place ON jobs (place, seq);"
        )
    again = FileJobStore(folder)
    urgent = again.submit(replace(a_ticket(), priority=1), limit=100)
    assert [entry.job_id for entry in again.listing(10).waiting] == [urgent, first, second]
    again.close()


def test_a_broken_index_is_put_aside_and_made_anew(store: FileJobStore, folder: Path) -> None:
    job_id = store.submit(a_ticket(), limit=100)
    store.close()
    for one in folder.glob("index.sqlite*"):
        one.write_bytes(b"this is no database at all, whatever its name says" * 100)
    again = FileJobStore(folder)
    assert [entry.job_id for entry in again.listing(10).waiting] == [job_id]
    assert list(folder.glob("index.sqlite.broken-*"))
    again.close()


def test_the_sweep_takes_in_a_job_file_that_a_dying_server_left_behind(
    store: FileJobStore, folder: Path
) -> None:
    ticket = a_ticket()
    other = FileJobStore(folder.parent / "elsewhere")
    other.submit(ticket, limit=100)
    content = (other.folder / f"{ticket.id}_job.json").read_bytes()
    other.close()
    path = folder / f"{ticket.id}_job.json"
    path.write_bytes(content)
    store.sweep(ended_before=0)
    assert store.claim() is None  # so young that its submit may still be at it
    stamp = time.time() - ADOPT_AFTER - 1
    os.utime(path, (stamp, stamp))
    store.sweep(ended_before=0)
    claim = store.claim()
    assert claim is not None
    assert claim.ticket == ticket


def test_a_submit_that_was_cut_off_and_made_again_under_its_key_is_one_job(
    store: FileJobStore, folder: Path
) -> None:
    key = IdempotencyKey("order 7", "the same request")
    cut_off, again = a_ticket(), a_ticket()
    other = FileJobStore(folder.parent / "elsewhere")
    other.submit(cut_off, limit=100, key=key)
    path = folder / f"{cut_off.id}_job.json"
    path.write_bytes((other.folder / path.name).read_bytes())  # all that a killed server got done
    other.close()
    stamp = time.time() - ADOPT_AFTER - 1
    os.utime(path, (stamp, stamp))
    assert store.submit(again, limit=100, key=key) == again.id
    store.sweep(ended_before=0)
    assert [entry.job_id for entry in store.listing(10).waiting] == [again.id]
    assert not path.exists()


def test_a_submit_that_was_cut_off_is_found_by_its_key_once_it_is_taken_in(
    store: FileJobStore, folder: Path
) -> None:
    key = IdempotencyKey("order 8", "the same request")
    job_id = store.submit(a_ticket(), limit=100, key=key)
    store.close()
    for one in folder.glob("index.sqlite*"):
        one.unlink()
    again = FileJobStore(folder)
    assert again.submit(a_ticket(), limit=100, key=key) == job_id
    again.close()


def test_a_full_disk_refuses_the_job_and_keeps_nothing_of_it(
    store: FileJobStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(StorageFull, match="No space left"):
            store.submit(a_ticket(), limit=100)
    assert job_files(folder) == set()
    store.submit(a_ticket(), limit=100)


def test_all_who_open_a_new_folder_at_once_get_it(tmp_path: Path) -> None:
    """As servers and workers do that are started together for the first time."""
    for number in range(12):
        with ThreadPoolExecutor(8) as threads:
            stores = list(threads.map(FileJobStore, [tmp_path / str(number)] * 8))
        for one in stores:
            one.close()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailable, match="Cannot use"):
        FileJobStore(tmp_path / "file" / "queue")


def test_progress_in_between_is_never_half_written(store: FileJobStore, folder: Path) -> None:
    job_id = store.submit(a_ticket(), limit=100)
    other = in_another_process(
        folder,
        "from diffusionapi.core.events import Started, Step\n"
        "claim = store.claim(); claim.record(Started(1, 'w')); print(flush=True)\n"
        "for n in range(1, 1001): claim.record(Step(n, 1000, n / 1000))\n",
    )
    seen = []
    with other:
        assert other.stdout is not None
        other.stdout.readline()
        while other.poll() is None:
            progress = store.progress(job_id)
            assert progress.state is JobState.RUNNING
            seen.append(progress.fraction)
    assert seen == sorted(seen)
    assert len(set(seen)) > 10


def test_steps_are_not_synced_but_ends_are(store: FileJobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    store.submit(a_ticket(), limit=100)
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    claim.record(Step(1, 4, 0.25))
    assert not synced
    claim.record(Finished(PICTURE))
    assert len(synced) == 2  # the file and its folder
    claim.release()
