"""The tones an object is drawn in: its colour, shades of it and a few accents that stay apart from it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from training.picturebook.world.plan import COLOURS

if TYPE_CHECKING:
    from training.picturebook.world.pen import RGB

ACCENTS: dict[str, RGB] = {
    "black": (30, 30, 36),
    "hat": (64, 64, 84),
    "gate": (70, 44, 34),
    "white": (254, 254, 254),
    "dot": (254, 254, 254),
    "yellow": (255, 218, 70),
    "orange": (240, 120, 30),
    "scarf": (206, 44, 52),
    "pink": (250, 150, 170),
    "trunk": (140, 92, 56),
    "leaf": (44, 138, 66),
    "cream": (246, 228, 190),
    "glass": (252, 236, 150),
    "sky": (178, 222, 246),
    "eye": (226, 240, 120),
}

INSTEAD: dict[tuple[str, str], RGB] = {
    ("hat", "black"): (92, 92, 108),
    ("gate", "black"): (150, 128, 98),
    ("gate", "brown"): (50, 30, 20),
    ("button", "black"): (254, 254, 254),
    ("white", "white"): (196, 214, 236),
    ("dot", "white"): (250, 200, 50),
    ("yellow", "yellow"): (254, 254, 254),
    ("orange", "orange"): (250, 214, 60),
    ("scarf", "red"): (46, 96, 206),
    ("scarf", "pink"): (46, 96, 206),
    ("pink", "pink"): (196, 72, 120),
    ("trunk", "brown"): (78, 50, 30),
    ("leaf", "green"): (22, 96, 50),
    ("glass", "yellow"): (254, 254, 254),
    ("eye", "yellow"): (254, 254, 254),
    ("eye", "white"): (150, 214, 110),
}
"""What stands in for an accent on a thing of a colour too near to it."""


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """`share` of `other` in `one`."""
    r, g, b = (round(a + (z - a) * share) for a, z in zip(one, other, strict=True))
    return r, g, b


@cache
def tones(colour: str) -> dict[str, RGB]:
    """Not to be changed: it is kept."""
    own = COLOURS[colour]
    found = {
        "colour": own,
        "dark": mix(own, (10, 6, 24), 0.36),
        "light": mix(own, (255, 255, 255), 0.62),
        **ACCENTS,
        "button": ACCENTS["black"],
    }
    if colour == "black":
        found |= {"dark": (74, 74, 90), "light": (150, 150, 164)}
    if colour == "white":
        found |= {"dark": (168, 182, 206), "light": (214, 226, 242)}
    return found | {tone: instead for (tone, on), instead in INSTEAD.items() if on == colour}
