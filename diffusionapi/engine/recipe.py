"""The recipe of one picture, a generator: it tells what happens, asks the network, and ends with a file."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffusionapi.core.events import Phase, Step
from diffusionapi.engine import autoencoder, memory, picture_file
from diffusionapi.engine.denoiser import Call
from diffusionapi.engine.engine import EngineEvent, Rendered
from diffusionapi.engine.sampled import sampled
from diffusionapi.engine.samplers.noise import SeededNoise
from diffusionapi.engine.samplers.schedules import img2img_plan, plan
from diffusionapi.engine.samplers.table import SAMPLERS
from diffusionapi.engine.upscalers import latent
from diffusionapi.errors import Error

if TYPE_CHECKING:
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.samplers.schedules import Plan
    from diffusionapi.engine.scene import Scene
    from diffusionapi.engine.workshop import Workshop


class Pause:
    """A generation says it between two pieces of long work, so that others go on and it can be cancelled."""


Moment = EngineEvent | Call | Pause
"""What a generation says next: what has happened, or what it asks. It is sent the answer to what it asked."""
Moments = Generator[Moment, Tensor | None, Tensor]


class NotANumber(Error):
    code = "not_a_number"

    def __init__(self) -> None:
        super().__init__(
            "The network answered with numbers that are none; try PRECISION=fp32, a lower cfg_scale, "
            "or LoRAs with lower scales"
        )


@dataclass(slots=True)
class _Pass:
    """One run of the sampler, from `before` to `after` of the whole job (0..1); `calls` have been made."""

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


def generate(request: GenerationRequest, workshop: Workshop) -> Generator[Moment, Tensor | None, None]:
    memory_before = memory.resident_mb()
    # 1. The models, and what the words mean to them.
    yield Phase("loading")
    scene = workshop.scene(request)
    # 2. Noise levels, and noise of the picture's own.
    first, second = _passes(request, scene)
    noise = _noise(request.seed, (request.width, request.height), first.plan, workshop.device)
    x = first.plan.start(noise.next())
    # 3. Denoise.
    yield Phase("initial generation" if second else "generation")
    x = yield from _denoise(scene, x, noise, first)
    # 4. Enlarge, and denoise once more.
    if second:
        yield Phase("upscaling")
        x = yield from _second_pass(scene, x, second, workshop)
    # 5. Decode.
    picture = autoencoder.decode(scene.model, x)
    # 6. The file, with its settings inside.
    text = workshop.settings_text(request, scene)
    content = picture_file.embed(picture, text, request.file_type, quality=request.quality)
    how = sampled(request, first.calls, second.calls if second else None)
    yield Rendered(content, picture.width, picture.height, memory_before, memory.resident_mb(), how)


def _passes(request: GenerationRequest, scene: Scene) -> tuple[_Pass, _Pass | None]:
    how, hires = (request.sampler, request.schedule), request.hires
    planned = plan(*how, request.steps, scene.table)
    if hires is None:
        return _Pass(planned, request.steps, False, 0.0, 1.0), None
    again = img2img_plan(*how, hires.steps, hires.denoising_strength, scene.table, fixed_steps=True)
    return _Pass(planned, request.steps, False, 0.0, 0.5), _Pass(again, hires.steps, True, 0.5, 1.0)


def _denoise(scene: Scene, x: Tensor, noise: SeededNoise, run: _Pass) -> Moments:
    """Drive the sampler: each of its questions becomes a call of the network that is responsible there."""
    request = scene.request
    sampler = SAMPLERS[request.sampler](x, run.plan, noise)
    try:
        ask = next(sampler)
        while True:
            weights, words = scene.at(ask.sigma, run.step, second=run.second)
            answer = yield Call(weights, ask.x, ask.sigma, words, request.guidance)
            assert answer is not None
            run.calls += 1
            ask = sampler.send(answer)
            yield run.told(run.plan.progress(run.calls, ask.level))
    except StopIteration as end:
        latents: Tensor = end.value
    yield run.told(1.0)
    if not bool(torch.isfinite(latents).all()):
        raise NotANumber
    return latents


def _second_pass(scene: Scene, x: Tensor, run: _Pass, workshop: Workshop) -> Moments:
    request, hires = scene.request, scene.request.hires
    assert hires is not None
    if hires.upscaler in latent.MODES:
        larger = latent.upscale(x, hires.upscaler, request.final_size)
    else:
        upscaling = workshop.upscaler(hires.upscaler)(autoencoder.decode(scene.model, x), request.final_size)
        try:
            while True:
                next(upscaling)
                yield Pause()
        except StopIteration as end:
            larger = autoencoder.encode(scene.model, end.value)
    noise = _noise(request.seed, request.final_size, run.plan, workshop.device)
    start = run.plan.start(noise.next(), larger)
    return (yield from _denoise(scene, start, noise, run))


def _noise(seed: int, size: tuple[int, int], planned: Plan, device: torch.device) -> SeededNoise:
    width, height = size
    return SeededNoise(seed, (4, height // 8, width // 8), device, planned.limits)
