"""The recipe of one picture, a generator: it tells what happens, asks the network, and ends with a file."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import wait
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffusionapi.core.events import Phase, Step
from diffusionapi.engine import autoencoder, memory, picture_file, safety
from diffusionapi.engine.denoiser import Call
from diffusionapi.engine.engine import EngineEvent, Rendered
from diffusionapi.engine.img2img.canvas import prepare
from diffusionapi.engine.img2img.ground import bare, begin
from diffusionapi.engine.passes import PAINTED, passes
from diffusionapi.engine.previews.glimpse import Glimpse
from diffusionapi.engine.sampled import sampled
from diffusionapi.engine.samplers.noise import SeededNoise
from diffusionapi.engine.samplers.table import SAMPLERS
from diffusionapi.engine.self_attention import asked
from diffusionapi.engine.upscalers import latent, wrapped
from diffusionapi.errors import Error

if TYPE_CHECKING:
    from PIL import Image

    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.img2img.canvas import Canvas
    from diffusionapi.engine.img2img.ground import Ground
    from diffusionapi.engine.passes import Pass
    from diffusionapi.engine.samplers.schedules import Plan
    from diffusionapi.engine.scene import Scene
    from diffusionapi.engine.upscalers.upscaler import Upscaling
    from diffusionapi.engine.workshop import Workshop


class Pause:
    """A generation says it between two pieces of long work, so that others go on and it can be cancelled."""


Moment = EngineEvent | Call | Pause | Glimpse
"""What a generation says next: what has happened, or what it asks. It is sent the answer to what it asked."""
Moments = Generator[Moment, Tensor | None, Tensor]


_PATIENCE = 0.02
"""Seconds that others wait for a translation at a time."""


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
    enlarger = workshop.enlarger(request.upscale, request.tiling) if request.upscale else None
    canvas = prepare(request, workshop.uploads)
    request, translated = yield from _in_english(request, workshop)
    scene = workshop.scene(request, canvas)
    # 2. The runs of the sampler, with their noise levels.
    first, second = passes(request, scene.table)
    # 3. Paint.
    if canvas is not None and not canvas.paints:
        picture = canvas.whole
    else:
        x = yield from _paint(scene, canvas, first, second, workshop)
        # 4. Decode, and set what was painted into its surroundings.
        picture = autoencoder.decode(scene.coder, x, request.tiling)
        picture = picture if canvas is None else canvas.finished(picture)
    # 5. Whether it may be shown.
    how = replace(sampled(request, first, second, canvas.notice if canvas else ""), translated=translated)
    if checker is not None:
        picture, how = safety.checked(checker, picture, how, request.blanking)
    # 6. Larger; of what may not be shown there is no detail to be found.
    if enlarger is not None:
        yield Phase("upscaling")
        picture = yield from stepwise((enlarger.plain if how.flagged else enlarger)(picture), PAINTED)
    # 7. The file, with its settings inside.
    text = workshop.settings_text(request, scene)
    content = picture_file.embed(picture, text, request.file_type, quality=request.quality)
    yield Rendered(content, picture.width, picture.height, memory_before, memory.resident_mb(), how)


def _in_english(
    request: GenerationRequest, workshop: Workshop
) -> Generator[Moment, Tensor | None, tuple[GenerationRequest, tuple[str, str] | None]]:
    """The request as it is painted, and both prompts if that had to be translated."""
    if not request.translate:
        return request, None
    future = workshop.english(request.prompt, request.negative_prompt)
    while not wait([future], _PATIENCE).done:
        yield Pause()
    prompt, negative = future.result()
    told = replace(request, prompt=prompt, negative_prompt=negative, translate=False)
    changed = (prompt, negative) != (request.prompt, request.negative_prompt)
    return told, (prompt, negative) if changed else None


def stepwise(upscaling: Upscaling, before: float) -> Generator[Moment, Tensor | None, Image.Image]:
    """An enlargement that tells in hundredths how far it is; `before` of the whole job has been done."""
    try:
        while True:
            share = next(upscaling)
            yield Step(round(share * 100), 100, before + (1 - before) * share)
            yield Pause()
    except StopIteration as end:
        picture: Image.Image = end.value
        return picture


def _paint(
    scene: Scene, canvas: Canvas | None, first: Pass, second: Pass | None, workshop: Workshop
) -> Moments:
    """From noise, or a picture and noise of the picture's own, to the last latents."""
    request, size = scene.request, (scene.request.width, scene.request.height)
    noise = _noise(request.seed, size, first.plan, workshop.device)
    start = noise.next()
    if canvas is None:
        x, ground = first.plan.start(start), bare(scene, size)
    else:
        x, ground = begin(scene, canvas, first.plan, start)
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
            held = scene.held(weights, run, ask.level)
            call = ground.call(weights, ask, words, request.guidance, held)
            answer = yield from asked(replace(call, tiling=request.tiling), request.self_attention)
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
        larger = wrapped.latents(x, hires.upscaler, request.final_size, request.tiling)
    else:
        upscaler = wrapped.pictures(workshop.upscaler(hires.upscaler), request.tiling)
        upscaling = upscaler(autoencoder.decode(scene.coder, x, request.tiling), request.final_size)
        try:
            while True:
                next(upscaling)
                yield Pause()
        except StopIteration as end:
            larger = autoencoder.encode(scene.coder, end.value, request.tiling)
    noise = _noise(request.seed, request.final_size, run.plan, workshop.device)
    start = run.plan.start(noise.next(), larger)
    return (yield from _denoise(scene, start, noise, run, bare(scene, request.final_size)))


def _noise(seed: int, size: tuple[int, int], planned: Plan, device: torch.device) -> SeededNoise:
    width, height = size
    return SeededNoise(seed, (4, height // 8, width // 8), device, planned.limits)
