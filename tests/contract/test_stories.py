"""What every dialect does alike, however it says it."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from diffusionapi.core.job import JobState
from tests.contract.dialect import ENDS, Dialect, Refused, Served, Told, Unknown
from tests.factories import a_ticket
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def every_look(dialect: Dialect, job: str, timeout: float = 60) -> list[Told]:
    """What a client that asks again and again is told, to the end."""
    told: list[Told] = []

    def ended() -> bool:
        told.append(dialect.look(job))
        return told[-1].state in ENDS

    wait_until(ended, timeout, dialect.server.log)
    return told


def end(dialect: Dialect, job: str) -> Told:
    return every_look(dialect, job)[-1]


def wait_for_work(dialect: Dialect, job: str) -> None:
    wait_until(lambda: dialect.look(job).state == "working", 30, dialect.server.log)


def needs(dialect: Dialect, field: str) -> None:
    if field in dialect.lacks:
        pytest.skip(f"clients of this dialect cannot say the {field}")


def needs_names(dialect: Dialect) -> None:
    if dialect.nameless:
        pytest.skip(dialect.nameless)


def refusal(dialect: Dialect, **asked: object) -> str:
    """How a picture is refused: at once, or by a job that fails."""
    try:
        job = dialect.submit(prompt="a lighthouse", **asked)
    except Refused as refused:
        assert 400 <= refused.status < 500 or refused.status >= 1000, refused
        return refused.text
    ended = end(dialect, job)
    assert ended.state == "failed"
    return ended.reason


def test_what_is_submitted_becomes_a_picture(dialect: Dialect) -> None:
    ended = end(dialect, dialect.submit(prompt="a lighthouse", steps=3))
    assert (ended.state, ended.percent) == ("done", 100)
    with Image.open(io.BytesIO(ended.picture)) as picture:
        picture.load()


def test_a_watcher_is_told_of_all_until_the_end(dialect: Dialect) -> None:
    told = dialect.watch(prompt="a lighthouse", steps=10)
    states = list(dict.fromkeys(one.state for one in told))
    assert states in (["waiting", "working", "done"], ["working", "done"])
    assert [one.state for one in told].count("done") == 1
    with Image.open(io.BytesIO(told[-1].picture)) as picture:
        picture.load()


def test_the_same_seed_gives_the_same_picture_and_another_one_another(dialect: Dialect) -> None:
    needs(dialect, "seed")
    first, again, other = (
        end(dialect, dialect.submit(prompt="a lighthouse", steps=3, seed=seed)).picture for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_an_unknown_model_is_refused_by_its_name(dialect: Dialect) -> None:
    needs(dialect, "model")
    assert "no-such-model" in refusal(dialect, model="no-such-model")


@pytest.mark.parametrize(("field", "value"), [("steps", "many"), ("steps", 0), ("seed", "x")])
def test_a_refusal_names_the_field_that_is_wrong(dialect: Dialect, field: str, value: object) -> None:
    needs(dialect, field)
    with pytest.raises(Refused) as refused:
        dialect.submit(**{"prompt": "a lighthouse"} | {field: value})
    assert dialect.name(field) in refused.value.text


def test_a_job_is_taken_back_while_it_runs_and_the_next_one_runs(dialect: Dialect) -> None:
    job = dialect.submit(prompt="a lighthouse", steps=900)
    wait_for_work(dialect, job)
    dialect.cancel(job)
    assert every_look(dialect, job, timeout=5)[-1].state == "cancelled"
    assert end(dialect, dialect.submit(prompt="a lighthouse", steps=3)).state == "done"


def test_a_job_is_taken_back_while_it_waits(dialect: Dialect) -> None:
    first = dialect.submit(prompt="a lighthouse", steps=900)
    second = dialect.submit(prompt="a lighthouse", steps=900)
    wait_for_work(dialect, first)
    for job in (second, first):
        dialect.cancel(job)
        assert every_look(dialect, job, timeout=5)[-1].state == "cancelled"


def test_progress_never_goes_back(dialect: Dialect) -> None:
    looked = every_look(dialect, dialect.submit(prompt="a lighthouse", steps=40))
    watched = dialect.watch(prompt="a lighthouse", steps=40)
    for told in (looked, watched):
        percents = [one.percent for one in told]
        assert all(before <= after for before, after in pairwise(percents)), percents
        assert percents[-1] == 100


def test_who_has_no_credentials_is_refused(dialect: Dialect) -> None:
    if dialect.open_to_all:
        pytest.skip(dialect.open_to_all)
    intruder = dialect.intruder()
    with pytest.raises(Refused):
        intruder.submit(prompt="a lighthouse")
    job = dialect.submit(prompt="a lighthouse", steps=3)
    for act in () if dialect.nameless else (intruder.look, intruder.cancel):
        with pytest.raises((Refused, Unknown)):
            act(job)
    assert end(dialect, job).state == "done"


@pytest.mark.slow
def test_a_job_that_kills_its_engine_fails_with_a_reason_and_harms_no_other(dialect: Dialect) -> None:
    doomed = dialect.submit(prompt="#crash@2", steps=3)
    good = dialect.submit(prompt="a lighthouse", steps=3)
    ended = end(dialect, doomed)
    assert ended.state == "failed"
    assert "died" in ended.reason
    assert end(dialect, good).state == "done"


@pytest.fixture
def foreign_job(shared: Served) -> Iterator[str]:
    """A job of a dialect that nobody speaks, in the line of the server."""
    store = shared.store()
    job = store.submit(replace(a_ticket(steps=200), dialect="foreign"), limit=100)
    yield job
    store.cancel(job)  # it has not ended: nobody harmed it
    wait_until(lambda: store.progress(job).state is JobState.CANCELLED, 10, shared.log)
    store.forget(job)
    store.close()


def knows_nothing(dialect: Dialect, job: str) -> None:
    needs_names(dialect)
    acts: tuple[Callable[[str], object], ...] = (dialect.look, dialect.cancel)
    for act in acts:
        with pytest.raises(Unknown):
            act(job)


def test_a_job_of_another_dialect_is_unknown(dialect: Dialect, foreign_job: str) -> None:
    knows_nothing(dialect, foreign_job)


def test_a_job_of_another_client_is_unknown(dialect: Dialect) -> None:
    stranger = dialect.stranger()
    if stranger is None:
        pytest.skip("all clients of this dialect are one")
    job = dialect.submit(prompt="a lighthouse", steps=30)
    knows_nothing(stranger, job)
    assert end(dialect, job).state == "done"


@pytest.mark.parametrize("job", ["00000000-0000-4000-8000-000000000000", "1", "..%2F..%2Fetc"])
def test_a_job_that_never_was_is_unknown(dialect: Dialect, job: str) -> None:
    knows_nothing(dialect, job)
