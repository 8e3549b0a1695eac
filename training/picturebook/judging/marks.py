"""Pictures with what is wrong in them written over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    import numpy as np

    from training.picturebook.judging.judge import Verdict

SIDE = 192
_WRONG = (230, 0, 60)


def marked(picture: np.ndarray, verdict: Verdict) -> Image.Image:
    """Small; what is right stays as it is."""
    image = Image.fromarray(picture)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    if verdict.wrong:
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, image.width - 1, image.height - 1), outline=_WRONG, width=3)
        draw.rectangle((0, 0, image.width - 1, 14), _WRONG)
        draw.text((4, 1), verdict.mistakes, fill="white", font_size=10)
    return image
