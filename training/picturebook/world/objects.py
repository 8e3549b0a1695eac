"""The objects, each in its one pose, in coordinates of about 100 to a side.

Nothing is thinner than a twenty-fifth of the object, and its colour covers most of it.
"""

from __future__ import annotations

from training.picturebook.world.pen import (
    Drawing,
    arch,
    box,
    circle_points,
    drawing,
    mirrored,
    oval,
    poly,
    turned_oval,
)


def _house() -> Drawing:
    return drawing(
        box("dark", 70, 6, 82, 34),
        poly("colour", (10, 44), (50, 10), (90, 44), (90, 100), (10, 100)),
        poly("dark", (50, 0), (100, 42), (94, 51), (50, 14), (6, 51), (0, 42)),
        box("glass", 17, 57, 34, 75),
        box("glass", 66, 57, 83, 75),
        box("dark", 41, 64, 59, 100),
    )


def _boat() -> Drawing:
    return drawing(
        box("trunk", 47, 0, 52, 60),
        poly("light", (52, 3), (52, 54), (84, 54)),
        poly("light", (47, 9), (47, 54), (22, 54)),
        poly("colour", (0, 54), (100, 54), (80, 98), (20, 98)),
        *(oval("white", x, 75, 5.5) for x in (28, 50, 72)),
    )


def _tree() -> Drawing:
    crown = ((24, 44, 24), (76, 44, 24), (50, 28, 28))
    return drawing(
        poly("trunk", (42, 60), (58, 60), (61, 100), (39, 100)),
        *(oval("dark", x, y, r) for x, y, r in crown),
        oval("dark", 50, 54, 24, 18),
        *(oval("colour", x, y - (2.5 if r < 28 else 0), r - (2.5 if r < 28 else 0)) for x, y, r in crown),
        oval("colour", 50, 48, 24, 17),
    )


def _cat() -> Drawing:
    return drawing(
        *mirrored(
            poly("colour", (4, 0), (46, 26), (8, 52)),
            poly("pink", (13, 15), (32, 27), (14, 39)),
        ),
        oval("colour", 50, 58, 50, 38),
        *mirrored(oval("eye", 29, 53, 10.5, 12), oval("black", 29, 53, 4.6, 9.5)),
        *mirrored(oval("light", 41.5, 78, 11.5, 10)),
        poly("pink", (42, 65), (58, 65), (50, 74)),
    )


def _dog() -> Drawing:
    return drawing(
        oval("colour", 50, 45, 42, 45),
        *mirrored(turned_oval("dark", 5, 42, 9.5, 29, 10)),
        oval("pink", 50, 86, 8, 12),
        oval("light", 50, 67, 18, 15),
        oval("black", 50, 59, 9, 7),
        *mirrored(oval("white", 34, 36, 7.5, 8.5), oval("black", 35, 37, 4.6, 5.8)),
    )


def _robot() -> Drawing:
    return drawing(
        box("dark", 47, 6, 53, 20),
        oval("scarf", 50, 6, 6),
        *mirrored(box("dark", 13, 27, 22, 41)),
        box("colour", 20, 16, 80, 52),
        *mirrored(oval("white", 36, 30, 9), oval("black", 36, 30, 4.5)),
        box("black", 36, 43, 64, 47.5),
        box("dark", 42, 52, 58, 57),
        *mirrored(box("dark", 10, 60, 22, 67), box("colour", 2, 58, 13, 76), box("dark", 2, 76, 13, 86)),
        box("colour", 19, 56, 81, 88),
        *mirrored(box("dark", 28, 88, 43, 100)),
        box("light", 38, 65, 62, 79),
    )


def _castle() -> Drawing:
    return drawing(
        box("colour", 24, 50, 76, 100),
        *(box("colour", x, 41, x + 10, 52) for x in (31, 45, 59)),
        *mirrored(
            box("colour", 2, 34, 30, 100),
            poly("dark", (-2, 36), (16, 0), (34, 36)),
            arch("gate", 11.5, 46, 20.5, 64),
        ),
        arch("gate", 39, 66, 61, 100),
    )


def _balloon() -> Drawing:
    return drawing(
        poly("trunk", (35, 66), (40, 66), (45, 86), (40, 86)),
        poly("trunk", (65, 66), (60, 66), (55, 86), (60, 86)),
        oval("colour", 50, 36, 36),
        poly("colour", (18.5, 54), (81.5, 54), (64, 74), (36, 74)),
        oval("light", 50, 36.5, 12, 36),
        poly("light", (38.6, 46), (61.4, 46), (55, 74), (45, 74)),
        box("trunk", 38, 84, 62, 100),
    )


def _rocket() -> Drawing:
    side = ((50, 0), (59, 8), (67, 20), (72, 36), (73, 52), (71, 68), (66, 82))
    return drawing(
        poly("orange", (38, 80), (62, 80), (58, 90), (50, 99), (42, 90)),
        poly("yellow", (43, 80), (57, 80), (54, 86), (50, 92), (46, 86)),
        *mirrored(poly("dark", (29, 56), (16, 70), (16, 90), (36, 80))),
        poly("colour", *side, *((100 - x, y) for x, y in reversed(side))),
        poly("dark", (50, 0), (59, 8), (65.5, 17), (34.5, 17), (41, 8)),
        oval("white", 50, 42, 11),
        oval("sky", 50, 42, 7),
    )


def _snowman() -> Drawing:
    return drawing(
        oval("colour", 50, 72, 32, 28),
        oval("colour", 50, 35, 22, 20),
        box("hat", 36, 0, 64, 18),
        box("hat", 26, 16, 74, 22),
        box("scarf", 33, 47, 67, 55),
        box("scarf", 58, 49, 66, 68),
        *mirrored(oval("button", 42, 30, 3.5)),
        poly("orange", (48, 33), (48, 42), (75, 39.5)),
        *(oval("button", 50, y, 3.8) for y in (66, 80)),
    )


def _flower() -> Drawing:
    return drawing(
        box("leaf", 47, 56, 53, 100),
        turned_oval("leaf", 64, 84, 14, 6, -28),
        turned_oval("leaf", 36, 90, 14, 6, 28),
        *(oval("colour", 50 + 22 * x, 34 + 22 * y, 13.5) for x, y in circle_points(6)),
        oval("colour", 50, 34, 20),
        oval("yellow", 50, 34, 11.5),
    )


def _mushroom() -> Drawing:
    bow = [(50 + 50 * x, 52 + 50 * y) for x, y in circle_points(48) if y <= 0.001]
    bow.sort()
    return drawing(
        poly("cream", (37, 50), (63, 50), (67, 96), (33, 96)),
        oval("cream", 50, 94, 17, 6),
        poly("colour", *bow, (96, 60), (84, 63), (16, 63), (4, 60)),
        oval("dot", 50, 20, 9.5),
        oval("dot", 24, 38, 8),
        oval("dot", 76, 38, 8),
        oval("dot", 50, 48, 7),
    )


OBJECT_DRAWINGS = {
    "house": _house(),
    "boat": _boat(),
    "tree": _tree(),
    "cat": _cat(),
    "dog": _dog(),
    "robot": _robot(),
    "castle": _castle(),
    "balloon": _balloon(),
    "rocket": _rocket(),
    "snowman": _snowman(),
    "flower": _flower(),
    "mushroom": _mushroom(),
}
