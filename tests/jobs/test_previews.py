"""What all keepers of previews promise; the one of files to all processes that share the folder."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from diffusionapi.core.events import Preview
from diffusionapi.jobs import previews
from diffusionapi.jobs.previews import FilePreviews, MemoryPreviews, Previews
from tests.factories import a_ticket

if TYPE_CHECKING:
    from diffusionapi.jobs.store import JobStore

JOB, OTHER = a_ticket().id, a_ticket().id
FIRST = Preview(1, 4, 64, 48, b"\xff\xd8 one\n two \xff\xd9")
SECOND = Preview(2, 4, 64, 48, b"\xff\xd8 other")


@pytest.fixture(params=["memory", "file", "redis"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Previews:
    match request.param:
        case "memory":
            return MemoryPreviews()
        case "file":
            return FilePreviews(tmp_path / "previews")
        case _:
            store: JobStore = request.getfixturevalue("redis_store")
            return store.previews


def test_nobody_wants_any_at_first(kept: Previews) -> None:
    assert not kept.wanted(JOB)
    assert kept.latest(JOB) is None


def test_a_wish_is_of_one_job(kept: Previews) -> None:
    kept.want(JOB)
    assert kept.wanted(JOB)
    assert not kept.wanted(OTHER)


def test_a_wish_that_is_not_repeated_ends(kept: Previews, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.want(JOB)
    monkeypatch.setattr(previews, "WANTED_SECONDS", 0.0)
    assert not kept.wanted(JOB)
    monkeypatch.setattr(previews, "WANTED_SECONDS", 60.0)
    kept.want(JOB)
    assert kept.wanted(JOB)


def test_the_latest_is_what_was_put_last(kept: Previews) -> None:
    kept.want(JOB)
    kept.put(JOB, FIRST)
    assert kept.latest(JOB) == FIRST
    kept.put(JOB, SECOND)
    assert kept.latest(JOB) == SECOND
    assert kept.latest(OTHER) is None


def test_nothing_is_left_of_a_job_that_is_dropped(kept: Previews) -> None:
    kept.want(JOB)
    kept.put(JOB, FIRST)
    kept.drop(JOB)
    assert not kept.wanted(JOB)
    assert kept.latest(JOB) is None
    kept.drop(JOB)
    kept.drop(OTHER)


@pytest.mark.parametrize("name", ["", "../escaped", "a/b", "A" * 300, "."])
def test_what_is_no_id_has_no_previews_and_harms_nobody(kept: Previews, name: str, tmp_path: Path) -> None:
    if isinstance(kept, FilePreviews):
        kept.want(name)
        kept.put(name, FIRST)
        assert not kept.wanted(name)
        assert kept.latest(name) is None
        kept.drop(name)
        assert list(tmp_path.rglob("*")) == []


def test_a_sweep_leaves_what_is_in_use(kept: Previews) -> None:
    kept.want(JOB)
    kept.put(JOB, FIRST)
    kept.sweep()
    assert kept.wanted(JOB)
    assert kept.latest(JOB) == FIRST


def test_a_sweep_removes_what_watchers_left(kept: Previews, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.want(JOB)
    monkeypatch.setattr(previews, "WANTED_SECONDS", 0.0)
    kept.sweep()
    monkeypatch.setattr(previews, "WANTED_SECONDS", 60.0)
    assert isinstance(kept, FilePreviews) or not kept.wanted(JOB)


# --- files -----------------------------------------------------------------------------------------------


def test_a_worker_of_another_process_sees_the_wish_and_its_watcher_the_preview(tmp_path: Path) -> None:
    watcher, worker = FilePreviews(tmp_path / "previews"), FilePreviews(tmp_path / "previews")
    watcher.want(JOB)
    assert worker.wanted(JOB)
    worker.put(JOB, FIRST)
    assert watcher.latest(JOB) == FIRST
    worker.drop(JOB)
    assert watcher.latest(JOB) is None


def test_a_sweep_removes_files_of_the_dead_unfinished_ones_too(tmp_path: Path) -> None:
    kept = FilePreviews(tmp_path)
    kept.want(JOB)
    kept.put(JOB, FIRST)
    (tmp_path / f".{OTHER}.preview.x7").write_bytes(b"half")
    kept.want(OTHER)
    for path in tmp_path.iterdir():
        if OTHER not in path.name or path.name.startswith("."):
            os.utime(path, (time.time() - 700,) * 2)
    kept.sweep()
    assert [path.name for path in tmp_path.iterdir()] == [f"{OTHER}.wanted"]


def test_a_file_that_is_none_of_ours_is_no_preview(tmp_path: Path) -> None:
    (tmp_path / f"{JOB}.preview").write_bytes(b"1 2\nx")
    assert FilePreviews(tmp_path).latest(JOB) is None


def test_storage_that_fails_costs_the_preview_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "previews").write_bytes(b"no folder")
    kept = FilePreviews(tmp_path / "previews")
    kept.want(JOB)
    kept.put(JOB, FIRST)
    kept.drop(JOB)
    kept.sweep()
    assert not kept.wanted(JOB)
    assert kept.latest(JOB) is None
