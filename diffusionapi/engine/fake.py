"""An engine without a model: seeded pictures drawn by Pillow, with true steps, sizes, phases and timing.

It ships with the product for demos, client development and tests. A prompt may tell it to misbehave, at a
step of its first pass: `#crash@3` (the process kills itself), `#hang@3`, `#fail@3`, `#memory@3`. Where a
safety checker is installed, it objects to pictures with `#unsafe` in their prompt.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import re
import signal
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import psutil
from PIL import Image, ImageDraw

from diffusionapi.core.events import Cancelled, Failed, Failure, Phase, Sampled, Step
from diffusionapi.engine.engine import EngineEvent, Happening, Rendered
from diffusionapi.engine.picture_file import embed
from diffusionapi.engine.previews.jpeg import preview_of
from diffusionapi.engine.previews.pace import Pace
from diffusionapi.errors import BadRequest, Error
from diffusionapi.infotext.grammar import Facts, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.core.events import Preview
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.img2img.canvas import Canvas

_UNSAFE = "#unsafe"
_MISCHIEF = re.compile(r"#(crash|hang|fail|memory)@(\d+)")


@dataclass(slots=True)
class _Running:
    drawing: _Drawing
    events: Iterator[EngineEvent]
    cancelled: bool = False
    pace: Pace | None = None
    """Of its previews, None while nobody wants any."""


class FakeEngine:
    def __init__(
        self,
        *,
        capacity: int,
        step_seconds: float,
        uploads: Uploads | None = None,
        checks: bool = False,
    ) -> None:
        """`checks`: a safety checker is installed."""
        self.capacity = capacity
        self._uploads = uploads
        self._checks = checks
        self._step_seconds = step_seconds
        self._running: dict[str, _Running] = {}

    def admit(self, job_id: str, request: GenerationRequest) -> None:
        drawing = _Drawing(request, self._uploads, checks=self._checks)
        self._running[job_id] = _Running(drawing, _generate(drawing))

    def cancel(self, job_id: str) -> None:
        if job_id in self._running:
            self._running[job_id].cancelled = True

    def preview(self, job_id: str, on: bool) -> None:
        if one := self._running.get(job_id):
            one.pace = (one.pace or Pace()) if on else None

    def step(self, timeout: float) -> list[Happening]:
        if not self._running:
            time.sleep(timeout)
            return []
        time.sleep(self._step_seconds)
        happened: list[Happening] = []
        for job_id, one in list(self._running.items()):
            event = Cancelled() if one.cancelled else next(one.events)
            if one.pace and isinstance(event, Step) and not one.drawing.checked and one.pace.due(event):
                happened.append((job_id, one.drawing.rough(event)))
            happened.append((job_id, event))
            if isinstance(event, Rendered | Failed | Cancelled):
                del self._running[job_id]
        return happened

    def close(self) -> None:
        self._running.clear()


class _Drawing:
    def __init__(self, request: GenerationRequest, uploads: Uploads | None, *, checks: bool) -> None:
        self.request = request
        self.checked = checks and request.safety != "off"
        """A safety checker looks at it in the end, and nobody does before."""
        self._uploads = uploads
        self._canvas: Canvas | None = None

    def begin(self) -> None:
        if self._uploads and self.request.source:
            # It brings numpy, which takes longer than all else of a start.
            from diffusionapi.engine.img2img.canvas import prepare

            self._canvas = prepare(self.request, self._uploads)
        if self.request.safety == "required" and not self.checked:
            raise BadRequest("safety", "no safety checker is installed")

    @cached_property
    def picture(self) -> Image.Image:
        picture = _draw(self.request)
        return picture if self._canvas is None else _mixed(picture, self._canvas, self.request)

    def rough(self, told: Step) -> Preview:
        """The picture as it comes out of the noise."""
        clear = self._small
        noise = Image.effect_noise(clear.size, 60).convert("RGB")
        return preview_of(Image.blend(noise, clear, told.fraction), self.picture.size, told)

    @cached_property
    def _small(self) -> Image.Image:
        width, height = self.picture.size
        return self.picture.resize((max(width // 8, 1), max(height // 8, 1)))


def _generate(drawing: _Drawing) -> Iterator[EngineEvent]:
    before, request = _memory_mb(), drawing.request
    try:
        drawing.begin()
    except Error as error:
        yield Failed(Failure(error.code, error.sentence))
        return
    yield from _steps(request)
    picture = drawing.picture
    how = _sampled(request, checks=drawing.checked)
    if how.flagged:
        picture = Image.new("RGB", picture.size)
    content = embed(picture, write(request, Facts()), request.file_type, quality=request.quality)
    yield Rendered(content, *picture.size, before, _memory_mb(), how)


def _steps(request: GenerationRequest) -> Iterator[EngineEvent]:
    count = _count(request)
    first_share = 0.5 if request.hires else 1.0
    yield Phase("initial generation" if request.hires else "generation")
    for step in range(1, count + 1):
        if (found := _MISCHIEF.search(request.prompt)) and step == int(found[2]):
            yield from _misbehave(found[1])
        yield Step(step, count, first_share * step / count)
    if request.hires:
        yield Phase("upscaling")
        for step in range(1, request.hires.steps + 1):
            yield Step(step, request.hires.steps, 0.5 + 0.5 * step / request.hires.steps)


def _count(request: GenerationRequest) -> int:
    """Of a picture that starts from another, the tail of the steps (A1111's rule, see `img2img_plan`)."""
    if request.source is None:
        return request.steps
    return int(min(request.source.strength, 0.999) * request.steps) + 1 if request.source.strength else 0


def _sampled(request: GenerationRequest, *, checks: bool) -> Sampled:
    flagged = checks and _UNSAFE in request.prompt
    return Sampled(
        request.sampler,
        request.schedule,
        request.seed,
        _count(request),
        request.hires.steps if request.hires else None,
        ("The safety checker took exception to the picture, so it is black",) if flagged else (),
        checked=checks,
        flagged=flagged,
    )


def _mixed(drawn: Image.Image, canvas: Canvas, request: GenerationRequest) -> Image.Image:
    """The source, changed by as much as its strength says."""
    if not canvas.paints or request.source is None:
        return canvas.whole
    return canvas.finished(Image.blend(canvas.picture, drawn, min(request.source.strength, 1.0)))


def _misbehave(kind: str) -> Iterator[EngineEvent]:
    match kind:
        case "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            while True:
                time.sleep(3600)
        case "memory":
            raise MemoryError
    yield Failed(Failure("generation_failed", "The prompt asked the fake engine to fail"))


def _draw(request: GenerationRequest) -> Image.Image:
    """A sky, a sun and hills whose colours and places come from the request and its seed."""
    text = f"{request.seed}|{request.prompt}|{request.negative_prompt}|{request.model}|{request.sampler}"
    dice = random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311 - a picture, not a secret
    width, height = request.final_size
    top, bottom = (tuple(dice.randrange(60, 256) for _ in range(3)) for _ in range(2))
    sky = Image.linear_gradient("L").resize((width, height))
    picture = Image.composite(Image.new("RGB", sky.size, bottom), Image.new("RGB", sky.size, top), sky)
    draw = ImageDraw.Draw(picture)
    radius = min(width, height) * dice.uniform(0.06, 0.14)
    x, y = width * dice.uniform(0.15, 0.85), height * dice.uniform(0.15, 0.4)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, dice.randrange(200, 256), 120))
    for depth in range(3):
        shade = tuple(dice.randrange(30, 140) * (3 - depth) // 3 for _ in range(3))
        base, swing, turn = 0.55 + 0.15 * depth, dice.uniform(0.03, 0.12), dice.uniform(0, math.tau)
        waves = dice.uniform(1.0, 3.0)
        ridge = [
            (x, height * (base + swing * math.sin(turn + waves * math.tau * x / width)))
            for x in range(0, width + 8, 8)
        ]
        draw.polygon([*ridge, (width, height), (0, height)], fill=shade)
    return picture


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20
