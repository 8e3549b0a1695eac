"""The runs of the sampler that a picture takes: the plan of each, and its share of the progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusionapi.core.events import Step
from diffusionapi.engine.samplers.schedules import img2img_plan, plan, steps_of

if TYPE_CHECKING:
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.samplers.levels import NoiseTable
    from diffusionapi.engine.samplers.schedules import Plan


PAINTED = 0.8
"""Share of a job that is done when what is painted has only to be made larger."""


@dataclass(slots=True)
class Pass:
    """One run, from `before` to `after` of the whole job (0..1); `calls` of the network have been made."""

    plan: Plan
    steps: int
    second: bool
    before: float
    after: float
    calls: int = 0

    def told(self, share: float) -> Step:
        done = min(round(share * self.steps), self.steps)
        return Step(done, self.steps, self.before + (self.after - self.before) * share)

    @property
    def step(self) -> int:
        """The step, from 1, that the next call belongs to; some samplers make two calls a step."""
        if not self.plan.calls:
            return min(self.calls + 1, self.steps)
        return min(self.calls * self.steps // self.plan.calls + 1, self.steps)


def passes(request: GenerationRequest, table: NoiseTable) -> tuple[Pass, Pass | None]:
    how, hires, source = (request.sampler, request.schedule), request.hires, request.source
    end = PAINTED if request.upscale else 1.0
    if source is not None:
        tail = img2img_plan(*how, request.steps, source.strength, table, fixed_steps=False)
        steps = request.steps if tail.calls is None else steps_of(request.sampler, tail.calls)
        return Pass(tail, steps, False, 0.0, end), None
    planned = plan(*how, request.steps, table)
    if hires is None:
        return Pass(planned, request.steps, False, 0.0, end), None
    again = img2img_plan(*how, hires.steps, hires.denoising_strength, table, fixed_steps=True)
    half = end / 2
    return Pass(planned, request.steps, False, 0.0, half), Pass(again, hires.steps, True, half, end)
