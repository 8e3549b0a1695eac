"""The ids of jobs that follow from the number of their request."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from pydantic import SecretStr

from diffusionapi.api.numbers import JobIds, progress_of
from diffusionapi.core.job import JobState
from diffusionapi.jobs.memory import MemoryJobStore
from tests.factories import a_ticket, settings_in

if TYPE_CHECKING:
    from pathlib import Path


def ids_of(folder: Path, secret: str, purpose: str = "pictures") -> JobIds:
    settings = settings_in(folder).model_copy(update={"secret_key": SecretStr(secret)})
    return JobIds(settings, purpose)


def test_any_process_with_the_secret_finds_the_jobs(tmp_path: Path) -> None:
    one, other = ids_of(tmp_path / "a", "s" * 32), ids_of(tmp_path / "b", "s" * 32)
    assert one.of(7, 2) == other.of(7, 2)
    assert str(uuid.UUID(one.of(7))) == one.of(7)


def test_no_two_places_numbers_or_purposes_have_one_id(tmp_path: Path) -> None:
    pictures, trainings = ids_of(tmp_path, "s" * 32), ids_of(tmp_path, "s" * 32, "trainings")
    found = [ids.of(number, place) for ids in (pictures, trainings) for number in (1, 11) for place in (0, 1)]
    assert len(set(found)) == len(found)


def test_who_has_the_number_only_cannot_tell_the_ids(tmp_path: Path) -> None:
    assert ids_of(tmp_path, "s" * 32).of(7) != ids_of(tmp_path, "t" * 32).of(7)


def test_a_job_that_nobody_knows_has_no_progress() -> None:
    store, ticket = MemoryJobStore(), a_ticket()
    store.submit(ticket, limit=1)
    progress = progress_of(store, ticket.id)
    assert progress is not None
    assert progress.state is JobState.QUEUED
    assert progress_of(store, str(uuid.uuid4())) is None
