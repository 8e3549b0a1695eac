from __future__ import annotations

import pytest

from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.worker.run import Overdue, Rules, Run
from tests.factories import a_request, a_ticket_of, a_training

RULES = Rules(job_timeout=10, training_timeout=100, training_yields=True, stay=16)


def a_run(*, training: bool) -> Run:
    store = MemoryJobStore()
    store.submit(a_ticket_of(a_training() if training else a_request()), limit=1)
    claim = store.claim()
    assert claim is not None
    return Run(claim, RULES, 1000.0)


@pytest.mark.parametrize(("training", "seconds"), [(False, 10), (True, 100)])
def test_a_job_is_overdue_when_its_time_is_over_and_not_before(training: bool, seconds: float) -> None:
    run = a_run(training=training)
    run.check(1000.0 + seconds, waits=False)
    with pytest.raises(Overdue, match=f"{seconds} seconds") as caught:
        run.check(1000.1 + seconds, waits=False)
    assert caught.value.job_id == run.id


def test_time_in_which_it_waits_does_not_count() -> None:
    run = a_run(training=True)
    run.check(1060.0, waits=False)
    run.check(5000.0, waits=True)
    run.check(5040.0, waits=False)
    with pytest.raises(Overdue):
        run.check(5040.1, waits=False)


def test_time_in_which_nobody_listens_does_not_count() -> None:
    run = a_run(training=False)
    run.check(1009.0, waits=False)
    run.pause(5000.0)
    run.check(5001.0, waits=False)
    with pytest.raises(Overdue):
        run.check(5001.1, waits=False)


def test_a_step_takes_the_time_since_the_one_before_or_since_its_phase_began() -> None:
    run = a_run(training=False)
    assert run.stepped(1.0, begins=False) is None
    assert run.stepped(1.5, begins=False) == 0.5
    assert run.stepped(60.0, begins=True) is None
    assert run.stepped(60.25, begins=False) == 0.25
