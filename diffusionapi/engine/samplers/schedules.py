"""Plans: which noise levels a sampler visits, what it starts from, how many network calls that takes.

Schedules and their tails follow AUTOMATIC1111 (A1111 below).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from diffusionapi.core.sampling import FEWEST_STEPS, check_steps
from diffusionapi.engine.samplers.levels import GRIDS, NoiseTable, log_spaced, spread, uniform

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = [
    "CALLS_A_STEP",
    "FEWEST_STEPS",
    "WITH_TIMESTEPS",
    "NoiseTable",
    "Plan",
    "img2img_plan",
    "plan",
    "steps_of",
]

CALLS_A_STEP = dict.fromkeys(("Heun", "DPM2", "DPM2 a", "DPM++ 2S a", "DPM++ SDE", "DPM++ SDE Karras"), 2)
CALLS_A_STEP["DPM adaptive"] = 3
"""Of the samplers that need more than one."""
WITH_TIMESTEPS = ("DDIM", "PLMS", "UniPC")
"""A1111's samplers of timesteps: they begin and end where variance is preserved, and stop before 0."""
_DISTILLED = 50
"""Timesteps, evenly spaced, that latent consistency models were taught on."""
_MOST_LEVELS = 50_000
"""Bounds the schedule that a second pass of nearly no strength is the tail of."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sampler needs to know of a schedule, model and strength.

    The scales turn unit noise and an encoded picture into the first latents, and the last latents into
    what the VAE expects: the samplers work on x0 + sigma * noise, but those with timesteps begin and end
    where variance is preserved.
    """

    sigmas: tuple[float, ...]
    """Descending. Ends with 0 unless the sampler stops at a level of its own."""
    calls: int | None
    """Network calls in all; None where the sampler finds out on its way."""
    noise_scale: float
    limits: tuple[float, float]
    """Lowest (not 0) and highest level of the whole schedule, also where only its tail is run."""
    image_scale: float = 1.0
    end_scale: float = 1.0
    told: tuple[float, ...] = ()
    """What the network is told the levels are, where that differs from `sigmas`."""
    timesteps: tuple[int, ...] = ()
    """Those of the levels, for a sampler that goes by them."""

    def start(self, noise: Tensor, image: Tensor | None = None) -> Tensor:
        """The first latents from unit noise, and for img2img from an encoded picture."""
        x = noise * self.noise_scale
        return x if image is None else x + image * self.image_scale

    def progress(self, calls_done: int, level: float) -> float:
        """The share that is done, 0..1; `level` is that of the pending Ask."""
        if self.calls is not None:
            return min(calls_done / self.calls, 1.0) if self.calls else 1.0
        span = math.log(self.sigmas[0] / self.sigmas[-1])
        return min(max(math.log(self.sigmas[0] / level) / span, 0.0), 1.0) if span > 0 else 1.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    sampler: str
    schedule: str
    steps: int
    """How many the schedule is made for."""
    tail: int | None = None
    """Which part of it is run: A1111's t_enc, None for the whole."""
    strength: float = 1.0

    def cut(self, levels: list[float]) -> list[float]:
        """The lowest `tail` + 1 levels.

        A1111 counts them from the top, which comes out higher than the strength asked for where the grid
        "ddim" has more levels than steps.
        """
        return levels if self.tail is None else levels[-self.tail - 1 :]


def steps_of(sampler: str, calls: int) -> int:
    """So many network calls as steps; the last step may need fewer than the others."""
    return -(-calls // CALLS_A_STEP.get(sampler, 1))


def plan(sampler: str, schedule: str, steps: int, table: NoiseTable) -> Plan:
    """From pure noise. `schedule` is the effective one of `core.sampling`."""
    check_steps(sampler, steps, "steps")
    return _PLANNERS.get(sampler, _on_grid)(_Wanted(sampler, schedule, steps), table)


def img2img_plan(
    sampler: str, schedule: str, steps: int, strength: float, table: NoiseTable, *, fixed_steps: bool
) -> Plan:
    """The tail of a schedule, for a picture that is to change by `strength` (0..1).

    img2img cuts the tail out of a schedule of `steps`; a second pass (`fixed_steps`) lengthens the
    schedule so that the tail itself has `steps`. Strength 0 leaves a second pass nothing to do.
    """
    check_steps(sampler, steps, "steps")
    short_of_all = min(strength, 0.999)
    if not fixed_steps:
        wanted = _Wanted(sampler, schedule, steps, int(short_of_all * steps), strength)
    elif strength > 0:
        length = max(min(int(steps / short_of_all), _MOST_LEVELS), steps)
        wanted = _Wanted(sampler, schedule, length, steps - 1, strength)
    else:
        limits = (table.sigma_min, table.sigma_max)
        return Plan(sigmas=(table.sigma_min,), calls=0, noise_scale=0.0, limits=limits)
    return _PLANNERS.get(sampler, _on_grid)(wanted, table)


def _on_grid(wanted: _Wanted, table: NoiseTable) -> Plan:
    """The levels of a schedule and then 0."""
    spare = wanted.sampler.startswith("DPM2")  # made for one step more, and then the lowest level is left out
    levels = GRIDS[wanted.schedule](table, wanted.steps + spare)
    levels = levels[: len(levels) - spare]
    sigmas = (*wanted.cut(levels), 0.0)
    count = len(sigmas) - 1
    calls = 2 * count - 1 if wanted.sampler in CALLS_A_STEP else count
    return Plan(sigmas, calls, noise_scale=sigmas[0], limits=(levels[-1], levels[0]))


def _log_range(wanted: _Wanted, table: NoiseTable) -> Plan:
    """DPM fast and DPM adaptive take only the ends of a schedule, and stop at its lowest level."""
    levels = wanted.cut(uniform(table, wanted.steps))
    high, low, count = levels[0], table.sigma_min, len(levels)
    limits = (table.sigma_min, table.sigma_max)
    if wanted.sampler == "DPM adaptive":
        return Plan((high, low), None, noise_scale=high, limits=limits)
    if high == low:
        return Plan((low,), 0, noise_scale=low, limits=limits)
    return Plan(tuple(log_spaced(high, low, count // 3 + 2)), count, noise_scale=high, limits=limits)


def _leading_timesteps(wanted: _Wanted, table: NoiseTable) -> Plan:
    """DDIM and PLMS go from neighbour to neighbour in a list of timesteps and end on its lowest."""
    timesteps, noised = _timesteps(wanted.steps, table), None
    if (tail := wanted.tail) is not None:
        tail = min(tail, len(timesteps) - 1)
        noised = table.sigma(timesteps[tail])
        timesteps = timesteps[: tail + _is_short(wanted)]
    sigmas = tuple(table.sigma(t) for t in reversed(timesteps))
    calls = len(sigmas) if wanted.sampler == "PLMS" and len(sigmas) > 1 else len(sigmas) - 1
    return _variance_preserving(sigmas, calls, noised, table)


def _unipc(wanted: _Wanted, table: NoiseTable) -> Plan:
    """UniPC counts that list but spreads as many steps evenly, down to timestep 0."""
    timesteps, noised = _timesteps(wanted.steps, table), None
    count, top = len(timesteps), len(table) - 1
    if (tail := wanted.tail) is not None:
        tail = min(tail, len(timesteps) - 1)
        noised = table.sigma(timesteps[tail])
        top = timesteps[tail - 1 + _is_short(wanted)]
        count = max(tail, FEWEST_STEPS[wanted.sampler])
    grid = spread(top, 0, count + 1)
    sigmas, told = (tuple(map(level, grid)) for level in (table.sigma_between_alphas, table.sigma))
    return _variance_preserving(sigmas, count, noised, table, told)


def _ddpm(wanted: _Wanted, table: NoiseTable) -> Plan:
    """As many of the timesteps 1, 1 + k, 1 + 2k, … as there are steps, and then the picture.

    k is less than 1 where there are more steps than timesteps. A single step starts at the top as elsewhere.
    """
    last, steps = len(table) - 1, wanted.steps
    stride = len(table) // steps or len(table) / steps
    timesteps = [min(1 + i * stride, last) for i in reversed(range(steps))] if steps > 1 else [last]
    levels = wanted.cut([table.sigma(t) for t in timesteps])
    noised = None if wanted.tail is None else levels[0]
    return _variance_preserving((*levels, 0.0), len(levels), noised, table)


def _lcm(wanted: _Wanted, table: NoiseTable) -> Plan:
    """Of the timesteps that the model was taught those up to the strength: some, evenly spaced, or all."""
    known, stride = max(int(_DISTILLED * wanted.strength), 1), len(table) // _DISTILLED
    count = min(wanted.steps if wanted.tail is None else wanted.tail + 1, known)
    timesteps = tuple((known - i * known // count) * stride - 1 for i in range(count))
    levels = [table.sigma(t) for t in timesteps]
    noised = None if wanted.tail is None else levels[0]
    planned = _variance_preserving((*levels, 0.0), count, noised, table)
    return replace(planned, timesteps=timesteps)


def _is_short(wanted: _Wanted) -> bool:
    """Whether a tail has too few steps for its sampler; it is then run from the very level it is noised to.

    Longer ones are run from the level below, as A1111 does, which fails for these or returns the noise.
    """
    return wanted.tail is not None and wanted.tail < FEWEST_STEPS[wanted.sampler]


def _timesteps(steps: int, table: NoiseTable) -> list[int]:
    last = len(table) - 1
    return [min(t + 1, last) for t in range(0, len(table), max(len(table) // steps, 1))]


def _variance_preserving(
    sigmas: tuple[float, ...],
    calls: int,
    noised: float | None,
    table: NoiseTable,
    told: tuple[float, ...] = (),
) -> Plan:
    """Begins with unscaled noise, or a picture noised to a level that need not be the first."""
    scale = math.hypot(1, sigmas[0]) / (1 if noised is None else math.hypot(1, noised))
    return Plan(
        sigmas,
        calls,
        noise_scale=scale * (1 if noised is None else noised),
        image_scale=scale,
        end_scale=1 / math.hypot(1, sigmas[-1]),
        limits=(table.sigma_min, table.sigma_max),
        told=told,
    )


_PLANNERS: dict[str, Callable[[_Wanted, NoiseTable], Plan]] = {
    "DPM fast": _log_range,
    "DPM adaptive": _log_range,
    "DDIM": _leading_timesteps,
    "PLMS": _leading_timesteps,
    "UniPC": _unipc,
    "DDPM": _ddpm,
    "LCM": _lcm,
}
"""Sampler -> how its plan is made; those not named here follow the grid of their schedule."""
