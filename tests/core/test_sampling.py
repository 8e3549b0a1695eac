from __future__ import annotations

import pytest

from diffusionapi.core.sampling import SAMPLERS, SCHEDULES, Sampling, resolve
from diffusionapi.errors import BadRequest, UnknownName


def choose(sampler: str, schedule: str, steps: int = 20) -> Sampling:
    return resolve(sampler, schedule, steps, sampler_field="sampler_name", schedule_field="scheduler_type")


def test_the_documented_samplers_come_first_and_there_are_five_schedules() -> None:
    documented = "Euler|Euler a|Heun|DPM2|DPM++ 2S a|DPM++ 2M|DPM++ 2M Karras|DPM++ SDE|DPM++ SDE Karras"
    documented += "|DPM fast|DPM adaptive|LMS|LMS Karras|DDIM|PLMS|UniPC"
    assert list(SAMPLERS[:16]) == documented.split("|")
    assert SAMPLERS[16:] == ("DPM2 a", "DPM++ 2S", "DPM++ 2M SDE", "DEIS", "IPNDM", "DDPM", "LCM")
    assert SCHEDULES == ("default", "karras", "exponential", "ddim", "pndm")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_with_the_documented_default_schedule(sampler: str) -> None:
    assert choose(sampler, "karras").sampler == sampler


@pytest.mark.parametrize(
    ("sampler", "schedule", "effective"),
    [
        ("Euler", "default", "default"),
        ("Euler", "karras", "karras"),
        ("Euler", "pndm", "ddim"),
        ("DPM++ 2M Karras", "default", "karras"),
        ("DPM fast", "exponential", "own"),
        ("DDIM", "karras", "own"),
        ("PLMS", "ddim", "own"),
        ("DDPM", "pndm", "own"),
        ("LCM", "karras", "own"),
        ("DPM++ 2M SDE", "karras", "karras"),
    ],
)
def test_the_schedule_that_runs_is_reported(sampler: str, schedule: str, effective: str) -> None:
    assert choose(sampler, schedule).schedule == effective


@pytest.mark.parametrize("sampler", ["DPM fast", "DPM adaptive", "DDIM", "PLMS", "UniPC", "DDPM", "LCM"])
def test_a_schedule_that_is_let_pass_without_effect_is_told(sampler: str) -> None:
    notice = f"The schedule type 'karras' has no effect: {sampler} has noise levels of its own"
    assert choose(sampler, "karras").notices == (notice,)
    assert choose(sampler, "default").notices == ()


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M Karras"])
def test_a_schedule_that_runs_as_it_was_asked_for_gives_nothing_to_tell(sampler: str) -> None:
    assert choose(sampler, "karras").notices == ()


@pytest.mark.parametrize(
    ("sampler", "schedule"),
    [
        ("DPM++ 2M Karras", "exponential"),
        ("LMS Karras", "ddim"),
        ("DPM adaptive", "exponential"),
        ("DDIM", "exponential"),
        ("UniPC", "pndm"),
        ("DPM fast", "ddim"),
        ("DDPM", "exponential"),
        ("LCM", "ddim"),
    ],
)
def test_a_schedule_that_a_sampler_cannot_run_on_is_refused(sampler: str, schedule: str) -> None:
    with pytest.raises(BadRequest, match=r"^scheduler_type: .* does not go with sampler .*'karras'"):
        choose(sampler, schedule)


def test_names_are_found_whatever_their_case() -> None:
    assert choose("euler A", "KARRAS") == Sampling("Euler a", "karras")


def test_an_unknown_sampler_comes_with_near_names() -> None:
    with pytest.raises(UnknownName) as caught:
        choose("DPM++ 2N Karras", "karras")
    assert caught.value.field == "sampler_name"
    assert caught.value.near[0] == "DPM++ 2M Karras"


def test_an_unknown_schedule_names_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="default, karras, exponential, ddim, pndm"):
        choose("Euler", "zzz")


@pytest.mark.parametrize(("sampler", "fewest"), [("DDIM", 2), ("PLMS", 2), ("UniPC", 3), ("Euler", 1)])
def test_samplers_have_a_least_number_of_steps(sampler: str, fewest: int) -> None:
    choose(sampler, "default", fewest)
    if fewest > 1:
        with pytest.raises(BadRequest, match=rf"^steps: sampler '{sampler}' needs at least {fewest}"):
            choose(sampler, "default", fewest - 1)
