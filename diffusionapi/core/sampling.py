"""The samplers and schedule types by name, and which go together.

Names and meanings are those of AUTOMATIC1111 up to 1.8, where an unsuffixed sampler on the default
schedule runs the uniform one. Those that it does not have are named as people who use diffusers name them.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffusionapi.core.names import fold, near
from diffusionapi.errors import BadRequest, UnknownName

SCHEDULES = ("default", "karras", "exponential", "ddim", "pndm")

_ON_ANY_GRID = {one: one for one in SCHEDULES} | {"pndm": "ddim"}
_ON_KARRAS_ONLY = {"default": "karras", "karras": "karras"}
_ON_OWN_GRID = {"default": "own", "karras": "own"}

_EFFECTIVE: dict[str, dict[str, str]] = {
    "Euler": _ON_ANY_GRID,
    "Euler a": _ON_ANY_GRID,
    "Heun": _ON_ANY_GRID,
    "DPM2": _ON_ANY_GRID,
    "DPM++ 2S a": _ON_ANY_GRID,
    "DPM++ 2M": _ON_ANY_GRID,
    "DPM++ 2M Karras": _ON_KARRAS_ONLY,
    "DPM++ SDE": _ON_ANY_GRID,
    "DPM++ SDE Karras": _ON_KARRAS_ONLY,
    "DPM fast": _ON_OWN_GRID | {"exponential": "own"},
    "DPM adaptive": _ON_OWN_GRID,
    "LMS": _ON_ANY_GRID,
    "LMS Karras": _ON_KARRAS_ONLY,
    "DDIM": _ON_OWN_GRID | {"ddim": "own", "pndm": "own"},
    "PLMS": _ON_OWN_GRID | {"ddim": "own", "pndm": "own"},
    "UniPC": _ON_OWN_GRID,
    "DPM2 a": _ON_ANY_GRID,
    "DPM++ 2S": _ON_ANY_GRID,
    "DPM++ 2M SDE": _ON_ANY_GRID,
    "DEIS": _ON_ANY_GRID,
    "IPNDM": _ON_ANY_GRID,
    "DDPM": _ON_OWN_GRID | {"ddim": "own", "pndm": "own"},
    "LCM": _ON_OWN_GRID,
}
"""Sampler -> schedule type a request may name with it -> the one it runs on ("own": the sampler's).

karras is let pass for samplers with a grid of their own, because it is the documented default of the
primary API: `{"sampler_name": "DDIM"}` arrives as DDIM on karras."""

SAMPLERS = tuple(_EFFECTIVE)

FEWEST_STEPS = {"DDIM": 2, "PLMS": 2, "UniPC": 3}
"""Those that need more than one."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """`schedule` is the effective one; `notices` say what of the two names has no effect."""

    sampler: str
    schedule: str
    notices: tuple[str, ...] = ()


def resolve(sampler: str, schedule: str, steps: int, *, sampler_field: str, schedule_field: str) -> Sampling:
    """The sampler and schedule that two names mean, or an error that names the field that is wrong."""
    chosen = _lookup(sampler, SAMPLERS, sampler_field, "sampler")
    asked = _lookup(schedule, SCHEDULES, schedule_field, "schedule type")
    allowed = _EFFECTIVE[chosen]
    if asked not in allowed:
        raise BadRequest(
            schedule_field,
            f"{asked!r} does not go with sampler {chosen!r}; use {' or '.join(map(repr, allowed))}",
        )
    check_steps(chosen, steps, "steps")
    return Sampling(chosen, allowed[asked], _notices(chosen, asked, allowed[asked]))


def _notices(sampler: str, asked: str, effective: str) -> tuple[str, ...]:
    if asked == "karras" and effective == "own":
        return (f"The schedule type 'karras' has no effect: {sampler} has noise levels of its own",)
    return ()


def check_steps(sampler: str, steps: int, field: str) -> None:
    fewest = FEWEST_STEPS.get(sampler, 1)
    if steps < fewest:
        raise BadRequest(field, f"sampler {sampler!r} needs at least {fewest}, got {steps}")


def _lookup(name: str, known: tuple[str, ...], field: str, kind: str) -> str:
    for one in known:
        if fold(one) == fold(name):
            return one
    raise UnknownName(field, kind, name, near(name, known), known)
