"""Whose trainings there are, on one machine and on many."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from diffusionapi.api.v3.training_records import TrainingRecords
from tests.one_or_many import of_one_machine, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.settings import Settings

__all__ = ["settings"]


@pytest.fixture
def records(settings: Settings) -> Iterator[TrainingRecords]:
    with closing(TrainingRecords(settings)) as records:
        yield records


def test_an_owner_has_those_it_began_in_any_process(records: TrainingRecords, settings: Settings) -> None:
    with closing(TrainingRecords(settings)) as other:
        ids = [one.add("phone") for one in (records, other, records)]
        other.add("desk")
        assert [one.id for one in other.of("phone")] == [one.id for one in records.of("phone")] == ids
        assert other.owns("phone", ids[0])
        assert not other.owns("desk", ids[0])
        assert records.of("nobody") == []
        other.remove(ids[1])
    assert [one.id for one in records.of("phone")] == [ids[0], ids[2]]


def test_an_id_is_ten_letters_that_nobody_guesses(records: TrainingRecords) -> None:
    ids = [records.add("phone") for _ in range(20)]
    assert all(len(one) == 10 and one.isascii() and one.isalnum() for one in ids)
    assert len(set(ids)) == 20


@of_one_machine
def test_who_only_looks_makes_nothing(records: TrainingRecords, tmp_path: Path) -> None:
    assert records.of("phone") == []
    assert list(tmp_path.iterdir()) == []
    records.add("phone")
    assert (tmp_path / "trainings" / "trainings.sqlite").is_file()
