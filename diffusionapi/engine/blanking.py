"""What a picture becomes that may not be shown: nothing of what it showed can be told from it. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.core.request import Blanking

_CELLS = 10
"""Of the longer side, that are left of a picture that is blurred or pixelated."""
_SENTENCE = "This picture may not be shown: the safety checker took exception to it."
_LETTERS = 14
"""Sizes of the sentence's letters that the shorter side holds."""

_WHY = "The safety checker took exception to the picture, so it is"
NOTICES: dict[Blanking, str] = {
    "black": f"{_WHY} black",
    "blurred": f"{_WHY} blurred",
    "pixelated": f"{_WHY} pixelated",
    "text": f"{_WHY} replaced by a text",
}


def blanked(picture: Image.Image, how: Blanking) -> Image.Image:
    """Of the same size."""
    return _BLANKS[how](picture)


def _black(picture: Image.Image) -> Image.Image:
    return Image.new("RGB", picture.size)


def _blurred(picture: Image.Image) -> Image.Image:
    return _cells(picture).resize(picture.size, Image.Resampling.BICUBIC)


def _pixelated(picture: Image.Image) -> Image.Image:
    return _cells(picture).resize(picture.size, Image.Resampling.NEAREST)


def _cells(picture: Image.Image) -> Image.Image:
    scale = _CELLS / max(picture.size)
    width, height = (max(round(side * scale), 1) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def _text(picture: Image.Image) -> Image.Image:
    page = Image.new("RGB", picture.size, "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(max(min(picture.size) / _LETTERS, 8))
    middle = page.width / 2, page.height / 2
    lines = _lines(draw, font, page.width * 0.9)
    draw.multiline_text(middle, lines, "black", font, anchor="mm", align="center")
    return page


def _lines(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float
) -> str:
    """The sentence in lines that are as wide at most."""
    lines = [""]
    for word in _SENTENCE.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


_BLANKS: dict[Blanking, Callable[[Image.Image], Image.Image]] = {
    "black": _black,
    "blurred": _blurred,
    "pixelated": _pixelated,
    "text": _text,
}
