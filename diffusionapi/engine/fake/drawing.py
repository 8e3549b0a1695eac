"""The pictures of the fake engine: a sky, a sun and hills that follow from the request and its seed."""

from __future__ import annotations

import hashlib
import math
import random
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from diffusionapi.core.enlarging import larger_size
from diffusionapi.engine.fake.uploaded import uploaded

if TYPE_CHECKING:
    from diffusionapi.blobs.uploads import Uploads
    from diffusionapi.core.request import Control, GenerationRequest


def draw(request: GenerationRequest, uploads: Uploads) -> Image.Image:
    """At the size that is painted. What a picture is to be held to shows as lines in it."""
    picture = _tiled(request)
    for control in request.controls:
        picture = ImageChops.lighter(picture, _lines(control, picture.size, uploads))
    return picture


def larger(picture: Image.Image, scale: float, *, faces: bool) -> Image.Image:
    made = picture.resize(larger_size(picture.size, scale), Image.Resampling.LANCZOS)
    return made.filter(ImageFilter.DETAIL) if faces else made


def _tiled(request: GenerationRequest) -> Image.Image:
    """Opposite edges fit where one half of the picture mirrors the other."""
    width, height = request.final_size
    if request.tiling == "none":
        return _landscape(request, width, height)
    half = _landscape(request, width // 2, height if request.tiling == "horizontal" else height // 2)
    picture = Image.new("RGB", (width, height))
    for x, across in ((0, half), (width // 2, ImageOps.mirror(half))):
        picture.paste(across, (x, 0))
        if request.tiling == "both":
            picture.paste(ImageOps.flip(across), (x, height // 2))
    return picture


def _lines(control: Control, size: tuple[int, int], uploads: Uploads) -> Image.Image:
    given = uploaded(control.upload, uploads, "L").resize(size)
    strength = min(control.scale, 1.0) * max(0.0, control.end - control.start)
    return given.filter(ImageFilter.FIND_EDGES).point(lambda value: value * strength).convert("RGB")


def _landscape(request: GenerationRequest, width: int, height: int) -> Image.Image:
    dice = random.Random(hashlib.sha256(_seed(request).encode()).digest())  # noqa: S311 - a picture, not a secret
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


def _seed(request: GenerationRequest) -> str:
    """What every colour and place follows from."""
    words = [request.seed, request.prompt, request.negative_prompt, request.model, request.sampler]
    if request.vae is not None:
        words.append(f"vae={request.vae}")
    if request.self_attention:
        words.append(f"self_attention={request.self_attention}")
    return "|".join(map(str, words))
