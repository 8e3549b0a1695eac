"""A rough picture as the JPEG of a preview, at the size of the picture that is being drawn."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from diffusionapi.core.events import Preview

if TYPE_CHECKING:
    from diffusionapi.core.events import Step

_QUALITY = 75


def preview_of(rough: Image.Image, size: tuple[int, int], told: Step) -> Preview:
    if rough.size != size:
        rough = rough.resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    rough.save(buffer, "JPEG", quality=_QUALITY)
    return Preview(told.step, told.steps, *size, buffer.getvalue())
