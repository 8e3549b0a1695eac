"""A picture of the fake engine, from its first step to its file; and one that is only made larger."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import psutil
from PIL import Image

from diffusionapi.core.events import Phase, Sampled, Step
from diffusionapi.engine.blanking import NOTICES, blanked
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.fake.drawing import draw, larger
from diffusionapi.engine.fake.mischief import mischief
from diffusionapi.engine.fake.uploaded import uploaded
from diffusionapi.engine.picture_file import embed
from diffusionapi.engine.previews.jpeg import preview_of
from diffusionapi.errors import BadRequest
from diffusionapi.infotext.grammar import Facts, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffusionapi.core.events import Preview
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.core.work import UpscaleRequest
    from diffusionapi.engine.engine import EngineEvent
    from diffusionapi.engine.fake.props import Props
    from diffusionapi.engine.img2img.canvas import Canvas

_UNSAFE = "#unsafe"
_TILES = 4
"""In which a picture is made larger, as far as anybody is told."""
_PAINTED = 0.8
"""Share of a job that is done when what is painted has only to be made larger."""


class Drawing:
    def __init__(self, request: GenerationRequest, props: Props) -> None:
        self.request = request
        self.checked = props.checks and request.safety != "off"
        """A safety checker looks at it in the end, and nobody does before."""
        self._props = props
        self._canvas: Canvas | None = None
        self.translated = False
        """Its prompts were not in English; here they stay as they are."""

    def begin(self) -> None:
        if self.request.source:
            # It brings numpy, which takes longer than all else of a start.
            from diffusionapi.engine.img2img.canvas import prepare

            self._canvas = prepare(self.request, self._props.uploads)
        if self.request.safety == "required" and not self.checked:
            raise BadRequest("safety", "no safety checker is installed")
        self.translated = self._props.translated(self.request)

    @cached_property
    def picture(self) -> Image.Image:
        picture = draw(self.request, self._props.uploads)
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


def paint(drawing: Drawing) -> Iterator[EngineEvent]:
    before, request = _memory_mb(), drawing.request
    drawing.begin()
    yield from _steps(request)
    picture = drawing.picture
    how = _sampled(drawing)
    if how.flagged:
        picture = blanked(picture, request.blanking)
    if request.upscale:
        yield from _tiles(_PAINTED)
        picture = larger(picture, request.upscale.scale, faces=request.upscale.faces)
    content = embed(picture, write(request, Facts()), request.file_type, quality=request.quality)
    yield Rendered(content, *picture.size, before, _memory_mb(), how)


def enlarge(request: UpscaleRequest, props: Props) -> Iterator[EngineEvent]:
    before = _memory_mb()
    given = uploaded(request.upload, props.uploads, "RGB")
    yield from _tiles(0.0)
    picture = larger(given, request.scale, faces=request.faces)
    content = embed(picture, None, request.file_type, quality=request.quality)
    yield Rendered(content, *picture.size, before, _memory_mb(), None)


def _tiles(before: float) -> Iterator[EngineEvent]:
    yield Phase("upscaling")
    for tile in range(1, _TILES + 1):
        yield Step(tile, _TILES, before + (1 - before) * tile / _TILES)


def _steps(request: GenerationRequest) -> Iterator[EngineEvent]:
    count, whole = _count(request), _PAINTED if request.upscale else 1.0
    first_share = whole / 2 if request.hires else whole
    yield Phase("initial generation" if request.hires else "generation")
    for step in range(1, count + 1):
        yield from mischief(request.prompt, step)
        yield Step(step, count, first_share * step / count)
    if request.hires:
        yield Phase("upscaling")
        for step in range(1, request.hires.steps + 1):
            yield Step(step, request.hires.steps, first_share * (1 + step / request.hires.steps))


def _count(request: GenerationRequest) -> int:
    """Of a picture that starts from another, the tail of the steps (A1111's rule, see `img2img_plan`)."""
    if request.source is None:
        return request.steps
    return int(min(request.source.strength, 0.999) * request.steps) + 1 if request.source.strength else 0


def _sampled(drawing: Drawing) -> Sampled:
    request = drawing.request
    flagged = drawing.checked and _UNSAFE in request.prompt
    return Sampled(
        request.sampler,
        request.schedule,
        request.seed,
        _count(request),
        request.hires.steps if request.hires else None,
        (NOTICES[request.blanking],) if flagged else (),
        checked=drawing.checked,
        flagged=flagged,
        translated=(request.prompt, request.negative_prompt) if drawing.translated else None,
    )


def _mixed(drawn: Image.Image, canvas: Canvas, request: GenerationRequest) -> Image.Image:
    """The source, changed by as much as its strength says."""
    if not canvas.paints or request.source is None:
        return canvas.whole
    return canvas.finished(Image.blend(canvas.picture, drawn, min(request.source.strength, 1.0)))


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 2**20
