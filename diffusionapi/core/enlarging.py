"""How large a picture becomes that is made larger, and how large it may become."""

from __future__ import annotations

from diffusionapi.errors import BadRequest

SMALLEST, LARGEST = 1.0, 4.0
"""Scales."""
_SIDES = 4
"""How many times as long as the longest side of a request a side may become."""


def larger_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    width, height = (max(round(side * scale), 1) for side in size)
    return width, height


def check(size: tuple[int, int], scale: float, max_side: int, field: str) -> None:
    """BadRequest unless a picture of this size can be made so many times larger. `max_side`: the setting."""
    if not SMALLEST <= scale <= LARGEST:
        raise BadRequest(field, f"a picture is made {SMALLEST:g} to {LARGEST:g} times larger")
    width, height = larger_size(size, scale)
    most = max_side * _SIDES
    if max(width, height) > most:
        raise BadRequest(
            field,
            f"the picture would become {width} x {height}, and no side may be longer than {most} pixels",
        )
