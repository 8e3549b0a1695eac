"""What diffusers calls its schedulers: which sampler and schedule each name means here.

Karras' noise levels are an option of some of its schedulers, and the kind of solver one of another few.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffusionapi.core import sampling
from diffusionapi.core.names import fold, near
from diffusionapi.errors import BadRequest, UnknownName


@dataclass(frozen=True, slots=True)
class Resolved:
    """`schedule` is the effective one; `used` is the scheduler that stands for what runs."""

    sampler: str
    schedule: str
    used: str
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class _Meaning:
    sampler: str
    karras: bool = False
    """Whether it runs on Karras' levels if these are wanted."""


_FALL_BACK = "UniPCMultistepScheduler"
_TAKES_SDE = "DPMSolverMultistepScheduler"
_SDE = "DPM++ 2M SDE"

_MEANINGS: dict[str, _Meaning | None] = {
    "DDPMScheduler": _Meaning("DDPM"),
    "DDIMScheduler": _Meaning("DDIM"),
    "PNDMScheduler": _Meaning("PLMS"),
    "LMSDiscreteScheduler": _Meaning("LMS", karras=True),
    "EulerDiscreteScheduler": _Meaning("Euler", karras=True),
    "EulerAncestralDiscreteScheduler": _Meaning("Euler a"),
    _TAKES_SDE: _Meaning("DPM++ 2M", karras=True),
    "HeunDiscreteScheduler": _Meaning("Heun", karras=True),
    "KDPM2DiscreteScheduler": _Meaning("DPM2", karras=True),
    "DPMSolverSinglestepScheduler": _Meaning("DPM++ 2S", karras=True),
    "KDPM2AncestralDiscreteScheduler": _Meaning("DPM2 a", karras=True),
    _FALL_BACK: _Meaning("UniPC"),
    "DDIMInverseScheduler": None,
    "DEISMultistepScheduler": _Meaning("DEIS", karras=True),
    "IPNDMScheduler": _Meaning("IPNDM"),
    "KarrasVeScheduler": None,
    "ScoreSdeVeScheduler": None,
    "LCMScheduler": _Meaning("LCM"),
}
"""Those without a meaning turn pictures into noise, or are for models of other noise levels."""

SCHEDULERS = tuple(_MEANINGS)

_ALGORITHMS = {"dpmsolver++": False, "dpmsolver+++": True, "sde-dpmsolver++": True}
"""Kind of solver -> whether it is the stochastic one."""

_ENOUGH_STEPS = 1000
"""For any sampler: how many there are is not known here."""


def resolve(scheduler: str, *, karras: bool, algorithm: str | None) -> Resolved:
    """The sampler and schedule that three fields mean.

    What has no meaning for a scheduler does no harm; only a name that nobody knows is an error.
    """
    named = _named(scheduler)
    stochastic = _stochastic(algorithm)
    used = named if _MEANINGS[named] else _FALL_BACK
    meaning = _MEANINGS[used]
    assert meaning is not None
    sampler = _SDE if stochastic and used == _TAKES_SDE else meaning.sampler
    schedule = "karras" if karras and meaning.karras else "default"
    chosen = sampling.resolve(
        sampler, schedule, _ENOUGH_STEPS, sampler_field="scheduler", schedule_field="use_karras_sigmas"
    )
    return Resolved(chosen.sampler, chosen.schedule, used, _notice(named, used, algorithm))


def _named(scheduler: str) -> str:
    for one in SCHEDULERS:
        if fold(one) == fold(scheduler):
            return one
    raise UnknownName("scheduler", "scheduler", scheduler, near(scheduler, SCHEDULERS), SCHEDULERS)


def _stochastic(algorithm: str | None) -> bool:
    if algorithm is None:
        return False
    kind = algorithm.strip().casefold()
    if kind not in _ALGORITHMS:
        raise BadRequest(
            "algorithm_type",
            f"unknown kind of solver {algorithm!r}; use {' or '.join(map(repr, _ALGORITHMS))}",
        )
    return _ALGORITHMS[kind]


def _notice(named: str, used: str, algorithm: str | None) -> str | None:
    """Karras' levels are not spoken of: they are wanted by default, and the result says what ran."""
    if named != used:
        return f"{named} makes no pictures from noise with these models; {used} was used"
    if algorithm is not None and used != _TAKES_SDE:
        return f"algorithm_type has no effect on {used}"
    return None
