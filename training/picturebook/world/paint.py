"""Paints any plan at any size."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from training.picturebook.world.objects import OBJECT_DRAWINGS
from training.picturebook.world.plan import COLOURS, Plan
from training.picturebook.world.scenery import Scenery
from training.picturebook.world.shapes import SHAPE_DRAWINGS
from training.picturebook.world.tones import ACCENTS, tones

DRAWINGS = SHAPE_DRAWINGS | OBJECT_DRAWINGS

FINER = 2
"""Drawn so many times larger and then reduced: Pillow's pencil leaves stairs."""

FLYING = ("balloon",)
"""What throws no shadow at its foot."""


def paint(plan: Plan, width: int, height: int) -> np.ndarray:
    """uint8, height x width x 3. The same plan gives the same picture."""
    wide, high = width * FINER, height * FINER
    scenery = None
    if plan.background is not None:
        image = Image.new("RGB", (wide, high), COLOURS[plan.background])
    else:
        scenery = Scenery(plan, wide, high)
        image = scenery.paint()
    draw = ImageDraw.Draw(image)
    unit = min(wide, high)
    for thing in plan.things:
        x, y = wide / 2 + thing.x * unit, high / 2 + thing.y * unit
        drawing = DRAWINGS[thing.name]
        if scenery and thing.name not in FLYING:
            foot = y / unit + drawing.height * thing.size / 2
            scenery.shadow(x / unit, foot, drawing.width * thing.size)
        drawing.draw(draw, tones(thing.colour), x, y, thing.size * unit)
    return np.array(image.reduce(FINER))


def silhouette(name: str, size: int) -> np.ndarray:
    """bool, size x size: what a shape or an object covers when it fills its unit box; no antialiasing."""
    image = Image.new("L", (size, size))
    white = dict.fromkeys(("colour", "dark", "light", "button", *ACCENTS), 255)
    DRAWINGS[name].draw(ImageDraw.Draw(image), white, size / 2, size / 2, size)
    return np.asarray(image) > 0
