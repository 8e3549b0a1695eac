from __future__ import annotations

import pytest

from diffusionapi.core.diffusers_names import SCHEDULERS, Resolved, resolve
from diffusionapi.core.sampling import SAMPLERS
from diffusionapi.errors import BadRequest, UnknownName

MEANINGS = [
    ("DDPMScheduler", "DDPM", "own", "own"),
    ("DDIMScheduler", "DDIM", "own", "own"),
    ("PNDMScheduler", "PLMS", "own", "own"),
    ("LMSDiscreteScheduler", "LMS", "default", "karras"),
    ("EulerDiscreteScheduler", "Euler", "default", "karras"),
    ("EulerAncestralDiscreteScheduler", "Euler a", "default", "default"),
    ("DPMSolverMultistepScheduler", "DPM++ 2M", "default", "karras"),
    ("HeunDiscreteScheduler", "Heun", "default", "karras"),
    ("KDPM2DiscreteScheduler", "DPM2", "default", "karras"),
    ("DPMSolverSinglestepScheduler", "DPM++ 2S", "default", "karras"),
    ("KDPM2AncestralDiscreteScheduler", "DPM2 a", "default", "karras"),
    ("UniPCMultistepScheduler", "UniPC", "own", "own"),
    ("DEISMultistepScheduler", "DEIS", "default", "karras"),
    ("IPNDMScheduler", "IPNDM", "default", "default"),
    ("LCMScheduler", "LCM", "own", "own"),
]
"""Scheduler, sampler, and the schedules it runs on without and with Karras' levels wanted."""
FALLEN_BACK = ["DDIMInverseScheduler", "KarrasVeScheduler", "ScoreSdeVeScheduler"]


def test_the_schedulers_are_the_documented_eighteen() -> None:
    assert set(SCHEDULERS) == {scheduler for scheduler, *_ in MEANINGS} | set(FALLEN_BACK)
    assert len(SCHEDULERS) == 18


@pytest.mark.parametrize(("scheduler", "sampler", "plain", "karras"), MEANINGS)
def test_a_scheduler_is_a_sampler_on_its_schedule(
    scheduler: str, sampler: str, plain: str, karras: str
) -> None:
    assert sampler in SAMPLERS
    assert resolve(scheduler, karras=False, algorithm=None) == Resolved(sampler, plain, scheduler)
    assert resolve(scheduler, karras=True, algorithm=None) == Resolved(sampler, karras, scheduler)


@pytest.mark.parametrize("scheduler", FALLEN_BACK)
def test_a_scheduler_that_makes_no_pictures_here_gives_way_to_the_usual_one_and_it_is_said(
    scheduler: str,
) -> None:
    found = resolve(scheduler, karras=True, algorithm=None)
    assert (found.sampler, found.schedule, found.used) == ("UniPC", "own", "UniPCMultistepScheduler")
    assert found.notice == (
        f"{scheduler} makes no pictures from noise with these models; UniPCMultistepScheduler was used"
    )


@pytest.mark.parametrize(
    ("algorithm", "sampler"),
    [
        (None, "DPM++ 2M"),
        ("dpmsolver++", "DPM++ 2M"),
        ("dpmsolver+++", "DPM++ 2M SDE"),
        ("sde-dpmsolver++", "DPM++ 2M SDE"),
        (" SDE-DPMSolver++", "DPM++ 2M SDE"),
    ],
)
@pytest.mark.parametrize(("karras", "schedule"), [(False, "default"), (True, "karras")])
def test_the_multistep_solver_is_stochastic_if_its_algorithm_says_so(
    algorithm: str | None, sampler: str, karras: bool, schedule: str
) -> None:
    found = resolve("DPMSolverMultistepScheduler", karras=karras, algorithm=algorithm)
    assert found == Resolved(sampler, schedule, "DPMSolverMultistepScheduler")


def test_an_algorithm_that_has_no_meaning_is_told_of() -> None:
    found = resolve("EulerDiscreteScheduler", karras=False, algorithm="dpmsolver+++")
    assert found.sampler == "Euler"
    assert found.notice == "algorithm_type has no effect on EulerDiscreteScheduler"


@pytest.mark.parametrize("algorithm", ["", "dpmsolver", "sde"])
def test_an_algorithm_that_nobody_knows_is_an_error_of_its_field(algorithm: str) -> None:
    with pytest.raises(BadRequest, match=r"^algorithm_type: .*use 'dpmsolver\+\+' or "):
        resolve("DPMSolverMultistepScheduler", karras=True, algorithm=algorithm)


def test_names_are_found_whatever_their_case() -> None:
    assert resolve("lcmscheduler", karras=True, algorithm=None).used == "LCMScheduler"


def test_an_unknown_scheduler_comes_with_near_names() -> None:
    with pytest.raises(UnknownName) as caught:
        resolve("EulerDiscretScheduler", karras=True, algorithm=None)
    assert caught.value.field == "scheduler"
    assert caught.value.near[0] == "EulerDiscreteScheduler"
