"""The lane of each kind of work."""

from __future__ import annotations

from diffusionapi.core.lane import Lane, lane_of
from tests.factories import a_request, a_training, an_upscaling


def test_a_job_waits_in_the_lane_of_its_kind_and_of_what_has_to_be_loaded_for_it() -> None:
    assert lane_of(a_request(model="xl")) == Lane("generation", "xl", 0)
    assert lane_of(a_training(model="xl")) == Lane("training", "xl", 0)
    assert lane_of(an_upscaling(upscaler="Lanczos")) == Lane("upscaling", "Lanczos", 0)


def test_jobs_that_differ_in_nothing_that_is_loaded_wait_in_one_lane() -> None:
    assert lane_of(a_request(prompt="a", seed=1, steps=4)) == lane_of(a_request(prompt="b", seed=2, steps=8))
