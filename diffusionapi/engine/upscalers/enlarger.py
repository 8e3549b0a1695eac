"""Makes a picture so many times larger, with its faces restored where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL.Image import Resampling

from diffusionapi.core import enlarging

if TYPE_CHECKING:
    from PIL import Image

    from diffusionapi.engine.faces.restorer import FaceRestorer
    from diffusionapi.engine.upscalers.upscaler import Upscaler, Upscaling

_WITHOUT_FACES = 0.8
"""How much is done when only the faces are left to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Enlarger:
    """Everything that it needs is loaded. `max_side` is the setting of that name."""

    upscaler: Upscaler
    scale: float
    faces: FaceRestorer | None
    max_side: int

    def __call__(self, picture: Image.Image) -> Upscaling:
        """The faces are cut out of the picture itself, which shows them as they are."""
        picture = picture.convert("RGB")
        enlarging.check(picture.size, self.scale, self.max_side, "scale")
        larger = enlarging.larger_size(picture.size, self.scale)
        until = _WITHOUT_FACES if self.faces else 1.0
        result = yield from _within(self.upscaler(picture, larger), 0.0, until)
        if self.faces is None:
            return result
        return (yield from _within(self.faces(picture, result), until, 1.0))

    def plain(self, picture: Image.Image) -> Upscaling:
        """A picture as large as the enlarged one, without looking for detail."""
        yield from ()
        return picture.resize(enlarging.larger_size(picture.size, self.scale), Resampling.LANCZOS)


def _within(part: Upscaling, start: float, end: float) -> Upscaling:
    """What part of the whole is done, of the share of one part."""
    try:
        while True:
            yield start + (end - start) * next(part)
    except StopIteration as finished:
        result: Image.Image = finished.value
        return result
