"""The lane of each kind of work."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from diffusionapi.core.lane import Lane, lane_of
from tests.factories import a_request, a_ticket, a_ticket_of, a_training, an_upscaling

if TYPE_CHECKING:
    from diffusionapi.core.work import Work


@pytest.mark.parametrize(
    ("work", "lane"),
    [
        (a_request(model="xl"), Lane("generation", "xl")),
        (a_training(model="xl"), Lane("training", "xl")),
        (an_upscaling(upscaler="Lanczos"), Lane("upscaling", "Lanczos")),
    ],
)
def test_a_job_waits_in_the_lane_of_its_kind_of_what_has_to_be_loaded_and_of_its_priority(
    work: Work, lane: Lane
) -> None:
    ticket = a_ticket_of(work)
    assert lane_of(ticket) == lane
    assert lane_of(replace(ticket, priority=-3)) == replace(lane, priority=-3)


def test_jobs_that_differ_in_nothing_that_is_loaded_wait_in_one_lane() -> None:
    one, other = a_ticket(prompt="a", seed=1, steps=4), a_ticket(prompt="b", seed=2, steps=8)
    assert lane_of(one) == lane_of(other)
