"""The recipe of one picture, a generator: it tells what happens, asks the network, and ends with a file."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffusionapi.core.events import Phase
from diffusionapi.engine import autoencoder, memory, picture_file, safety
from diffusionapi.engine.denoiser import Call
from diffusionapi.engine.engine import EngineEvent, Rendered
from diffusionapi.engine.img2img.canvas import prepare
from diffusionapi.engine.img2img.ground import bare, begin
from diffusionapi.engine.passes import passes
from diffusionapi.engine.previews.glimpse import Glimpse
from diffusionapi.engine.sampled import sampled
from diffusionapi.engine.samplers.noise import SeededNoise
from diffusionapi.engine.samplers.table import SAMPLERS
from diffusionapi.engine.upscalers import latent
from diffusionapi.errors import Error

if TYPE_CHECKING:
    from diffusionapi.core.events import Step
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.img2img.canvas import Canvas
    from diffusionapi.engine.img2img.ground import Ground
    from diffusionapi.engine.passes import Pass
    from diffusionapi.engine.samplers.schedules import Plan
    from diffusionapi.engine.scene import Scene
    from diffusionapi.engine.workshop import Workshop


class Pause:
    """A generation says it between two pieces of long work, so that others go on and it can be cancelled."""


Moment = EngineEvent | Call | Pause | Glimpse
"""What a generation says next: what has happened, or what it asks. It is sent the answer to what it asked."""
Moments = Generator[Moment, Tensor | None, Tensor]


class NotANumber(Error):
    code = "not_a_number"

    def __init__(self) -> None:
        super().__init__(
            "The network answered with numbers that are none; try PRECISION=fp32, a lower cfg_scale, "
            "or LoRAs with lower scales"
        )


def generate(request: GenerationRequest, workshop: Workshop) -> Generator[Moment, Tensor | None, None]:
    memory_before = memory.resident_mb()
    # 1. The models, what the words mean to them, and the picture to start from.
    yield Phase("loading")
    checker = workshop.safety_checker(request)
    canvas = prepare(request, workshop.uploads)
    scene = workshop.scene(request)
    # 2. The runs of the sampler, with their noise levels.
    first, second = passes(request, scene.table)
    # 3. Paint.
    if canvas is not None and not canvas.paints:
        picture = canvas.whole
    else:
        x = yield from _paint(scene, canvas, first, second, workshop)
        # 4. Decode, and set what was painted into its surroundings.
        picture = autoencoder.decode(scene.model, x)
        picture = picture if canvas is None else canvas.finished(picture)
    # 5. Whether it may be shown.
    how = sampled(request, first, second, canvas.notice if canvas else "")
    if checker is not None:
        picture, how = safety.checked(checker, picture, how)
    # 6. The file, with its settings inside.
    text = workshop.settings_text(request, scene)
    content = picture_file.embed(picture, text, request.file_type, quality=request.quality)
    yield Rendered(content, picture.width, picture.height, memory_before, memory.resident_mb(), how)


def _paint(
    scene: Scene, canvas: Canvas | None, first: Pass, second: Pass | None, workshop: Workshop
) -> Moments:
    """From noise, or a picture and noise of the picture's own, to the last latents."""
    request, size = scene.request, (scene.request.width, scene.request.height)
    noise = _noise(request.seed, size, first.plan, workshop.device)
    start = noise.next()
    if canvas is None:
        x, ground = first.plan.start(start), bare(scene.model, size)
    else:
        x, ground = begin(request, scene.model, canvas, first.plan, start)
    yield Phase("initial generation" if second else "generation")
    x = yield from _denoise(scene, x, noise, first, ground)
    if second:
        yield Phase("upscaling")
        x = yield from _second_pass(scene, x, second, workshop)
    return x


def _denoise(scene: Scene, x: Tensor, noise: SeededNoise, run: Pass, ground: Ground) -> Moments:
    """Drive the sampler: each of its questions becomes a call of the network that is responsible there."""
    request = scene.request
    sampler = SAMPLERS[request.sampler](x, run.plan, noise)
    try:
        ask = next(sampler)
        while True:
            weights, words = scene.at(ask.sigma, run.step, second=run.second)
            answer = yield ground.call(weights, ask, words, request.guidance)
            assert answer is not None
            run.calls += 1
            clean = ground.answered(answer)
            ask = sampler.send(clean)
            yield from _told(scene, clean, run, ground, run.plan.progress(run.calls, ask.level))
    except StopIteration as end:
        latents: Tensor = ground.joined(end.value)
    yield from _told(scene, latents, run, ground, 1.0)
    if not bool(torch.isfinite(latents).all()):
        raise NotANumber
    return latents


def _told(scene: Scene, clean: Tensor, run: Pass, ground: Ground, share: float) -> Iterator[Glimpse | Step]:
    """How far it is, and what it looks like there."""
    told = run.told(share)
    yield Glimpse(scene.model, clean, told, run.second, scene.request.final_size, ground.canvas)
    yield told


def _second_pass(scene: Scene, x: Tensor, run: Pass, workshop: Workshop) -> Moments:
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
    return (yield from _denoise(scene, start, noise, run, bare(scene.model, request.final_size)))


def _noise(seed: int, size: tuple[int, int], planned: Plan, device: torch.device) -> SeededNoise:
    width, height = size
    return SeededNoise(seed, (4, height // 8, width // 8), device, planned.limits)
