from __future__ import annotations

import pytest

from diffusionapi.core.enlarging import check, larger_size
from diffusionapi.errors import BadRequest


def test_the_scale_is_reached_to_the_pixel() -> None:
    assert larger_size((101, 63), 2.5) == (252, 158)
    assert larger_size((512, 512), 4) == (2048, 2048)


def test_scales_from_1_to_4_are_taken_and_sides_up_to_four_times_the_longest_of_a_request() -> None:
    check((2048, 512), 4, 2048, "scale")
    check((8192, 8), 1, 2048, "scale")
    for size, scale in (((100, 100), 0.9), ((100, 100), 4.1), ((100, 100), float("nan")), ((2100, 10), 4)):
        with pytest.raises(BadRequest, match="scale: "):
            check(size, scale, 2048, "scale")
