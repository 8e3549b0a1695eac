"""`python -m diffusionapi.jobs.dead`: what was given up is listed, replayed and dropped."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from diffusionapi.core.events import Failed, Failure, Started
from diffusionapi.core.job import JobState
from diffusionapi.jobs import dead
from diffusionapi.jobs.redis.store import RedisJobStore
from tests.factories import a_ticket
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisJobStore]:
    with RedisServer(tmp_path / "redis") as redis, closing(RedisJobStore(redis.url)) as store:
        monkeypatch.setenv("JOB_STORE", redis.url)
        yield store


def give_up(store: RedisJobStore, code: str = "engine_died") -> str:
    job = store.submit(a_ticket(model="some-model"), limit=10)
    claim = store.claim()
    assert claim is not None
    claim.record(Started(3, "w"))
    claim.record(Failed(Failure(code, "The engine died 3 times under this job")))
    claim.release()
    return job


def test_what_was_given_up_is_listed_with_its_reason(
    store: RedisJobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    job = give_up(store)
    give_up(store, "bad_request")  # that is the client's to mend
    dead.main(["list"])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(job)
    assert "generation some-model  engine_died: The engine died 3 times" in line


def test_a_replayed_job_runs_again_by_its_own_id(store: RedisJobStore) -> None:
    job = give_up(store)
    dead.main(["replay", job])
    claim = store.claim()
    assert claim is not None
    assert (claim.ticket.id, claim.progress.state) == (job, JobState.QUEUED)
    claim.release()
    assert store.dead_letters() == []


def test_a_dropped_one_is_gone_and_its_client_still_reads_why(store: RedisJobStore) -> None:
    job = give_up(store)
    dead.main(["drop", job])
    assert store.dead_letters() == []
    assert store.progress(job).state is JobState.FAILED
    with pytest.raises(SystemExit, match=job):
        dead.main(["replay", job])


def test_a_store_of_files_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_STORE", "file:queue")
    with pytest.raises(SystemExit, match="file:queue keeps no dead letters; a Redis does"):
        dead.main(["list"])
