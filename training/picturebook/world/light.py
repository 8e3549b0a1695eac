"""What the light of a time of day does to skies, grounds and everything else far away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.picturebook.world.pen import RGB

SKIES: dict[str, tuple[RGB, RGB, RGB]] = {
    "day": ((84, 168, 240), (140, 202, 248), (204, 234, 252)),
    "night": ((10, 14, 48), (20, 30, 78), (42, 56, 112)),
    "sunset": ((112, 40, 104), (222, 76, 78), (255, 178, 84)),
    "sunrise": ((204, 188, 240), (250, 210, 228), (255, 244, 200)),
    "space": ((18, 8, 40), (30, 14, 60), (44, 22, 80)),
}
"""From the top through the middle to the horizon."""

GROUND_TONES: dict[str, dict[str, tuple[RGB, RGB]]] = {
    "day": {
        "meadow": ((98, 178, 82), (134, 204, 88)),
        "forest": ((58, 118, 70), (76, 138, 76)),
        "sea": ((34, 140, 196), (112, 194, 226)),
        "snow": ((192, 212, 238), (222, 234, 248)),
        "desert": ((214, 168, 104), (238, 202, 140)),
    },
    "night": {
        "meadow": ((34, 78, 54), (48, 102, 60)),
        "forest": ((12, 42, 44), (18, 54, 50)),
        "sea": ((14, 74, 124), (52, 116, 164)),
        "snow": ((116, 132, 178), (150, 166, 206)),
        "desert": ((98, 80, 82), (128, 106, 96)),
    },
    "sunset": {
        "meadow": ((112, 118, 52), (146, 146, 62)),
        "forest": ((66, 78, 50), (82, 94, 56)),
        "sea": ((106, 74, 138), (240, 150, 122)),
        "snow": ((216, 160, 180), (242, 198, 202)),
        "desert": ((192, 106, 62), (224, 140, 80)),
    },
    "sunrise": {
        "meadow": ((152, 200, 132), (182, 220, 146)),
        "forest": ((104, 154, 122), (122, 172, 134)),
        "sea": ((124, 186, 212), (204, 230, 234)),
        "snow": ((212, 212, 240), (232, 230, 250)),
        "desert": ((230, 194, 154), (246, 220, 180)),
    },
}
"""Of the further and the nearer hills; of the sea and its stripes."""

FAR_TONES: dict[str, dict[str, RGB]] = {
    "day": {
        "cloud": (252, 253, 255),
        "fir": (24, 92, 58),
        "back fir": (36, 108, 66),
        "mountain": (138, 128, 164),
        "cap": (246, 248, 252),
        "river": (64, 152, 224),
        "sun": (255, 214, 52),
        "moon": (250, 240, 204),
        "crater": (222, 208, 168),
        "flower light": (255, 255, 255),
    },
    "night": {
        "cloud": (76, 88, 136),
        "fir": (8, 30, 36),
        "back fir": (14, 44, 46),
        "mountain": (64, 60, 98),
        "cap": (146, 152, 190),
        "river": (44, 92, 168),
        "sun": (255, 214, 52),
        "moon": (252, 240, 200),
        "crater": (222, 206, 162),
        "flower light": (170, 170, 210),
    },
    "sunset": {
        "cloud": (255, 196, 150),
        "fir": (52, 48, 46),
        "back fir": (74, 62, 50),
        "mountain": (126, 72, 112),
        "cap": (250, 194, 176),
        "river": (128, 96, 172),
        "sun": (255, 84, 36),
        "moon": (250, 230, 200),
        "crater": (226, 196, 160),
        "flower light": (255, 220, 190),
    },
    "sunrise": {
        "cloud": (255, 250, 250),
        "fir": (74, 126, 104),
        "back fir": (92, 142, 116),
        "mountain": (184, 168, 206),
        "cap": (252, 244, 248),
        "river": (140, 194, 234),
        "sun": (255, 232, 120),
        "moon": (255, 250, 230),
        "crater": (236, 224, 196),
        "flower light": (255, 246, 250),
    },
}
