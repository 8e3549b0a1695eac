"""How far a training is said to be, whatever has happened to its job."""

from __future__ import annotations

import time
from functools import reduce

import pytest

from diffusionapi.api.v3 import training_statuses as statuses
from diffusionapi.core.events import (
    Cancelled,
    Event,
    Failed,
    Failure,
    Learned,
    Phase,
    Queued,
    Started,
    Step,
    Trained,
)
from diffusionapi.core.job import Progress, Ticket
from tests.factories import a_request

WAITS, RUNS = "deploying_gpu", "training_started"
BEGUN: list[Event] = [Started(1, "w"), Phase("training"), Step(1, 2, 0.5, 0.25)]
READY: list[Event] = [*BEGUN, Phase("saving"), Learned(Trained("a", "fake", 2, 0.125, 3.0))]
TICKET = Ticket("id", "v3", 0.0, a_request(), {}, ("A notice",))


def after(events: list[Event]) -> Progress:
    return reduce(lambda progress, event: progress.evolve(event, time.time()), events, Progress())


@pytest.mark.parametrize(
    ("events", "present", "passed"),
    [
        ([], WAITS, [WAITS]),
        ([Cancelled()], "cancelled", [WAITS, "cancelled"]),
        ([Failed(Failure("a", "b"))], "training_failed", [WAITS, "training_failed"]),
        (BEGUN, RUNS, [WAITS, RUNS]),
        ([*BEGUN, Cancelled()], "cancelled", [WAITS, RUNS, "cancelled"]),
        ([*BEGUN, Queued("crashed")], WAITS, [WAITS, RUNS]),
        ([*BEGUN, Queued("interrupted"), Started(2, "w")], RUNS, [WAITS, RUNS]),
        (
            READY[:-1],
            "trained_model_compressing",
            [WAITS, RUNS, "training_success", "trained_model_compressing"],
        ),
        (READY, "model_ready", list(statuses.ORDER[:8])),
    ],
)
def test_a_status_for_every_state(events: list[Event], present: str, passed: list[str]) -> None:
    progress = after(events)
    assert statuses.present(progress) == present
    assert list(statuses.passed(progress)) == passed


def test_the_log_tells_what_happened_in_sentences() -> None:
    events: list[Event] = [*BEGUN, Queued("crashed"), Started(2, "w"), *READY[1:]]
    assert statuses.log_of(TICKET, after(events)).splitlines() == [
        "A notice",
        "Started",
        "Training",
        "Step 1 of 2, loss 0.2500",
        "The engine died; waiting to go on",
        "Started, attempt 2",
        "Training",
        "Step 1 of 2, loss 0.2500",
        "Saving",
        "Finished: 2 steps in 3 s, loss 0.1250",
    ]
    assert statuses.log_of(TICKET, after([])) == "A notice\nWaiting"
