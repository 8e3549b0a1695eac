"""The recipe of a given picture made larger."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from diffusionapi.core.events import Phase
from diffusionapi.core.request import Upscale
from diffusionapi.engine import memory, picture_file
from diffusionapi.engine.engine import Rendered
from diffusionapi.engine.recipe import Pause, stepwise

if TYPE_CHECKING:
    from collections.abc import Generator

    from torch import Tensor

    from diffusionapi.core.work import UpscaleRequest
    from diffusionapi.engine.recipe import Moment
    from diffusionapi.engine.workshop import Workshop


def enlarge(request: UpscaleRequest, workshop: Workshop) -> Generator[Moment, Tensor | None, None]:
    """Its file says nothing of settings, since none made it."""
    memory_before = memory.resident_mb()
    yield Phase("loading")
    with Image.open(io.BytesIO(workshop.uploads.get(request.upload))) as given:
        picture = given.convert("RGB")
    enlarger = workshop.enlarger(Upscale(request.upscaler, request.scale, request.faces))
    yield Phase("upscaling")
    yield Pause()
    picture = yield from stepwise(enlarger(picture), 0.0)
    yield Phase("saving")
    content = picture_file.embed(picture, None, request.file_type, quality=request.quality)
    yield Rendered(content, picture.width, picture.height, memory_before, memory.resident_mb(), None)
