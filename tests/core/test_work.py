"""What kinds of work are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.core.request import Mask, Source
from diffusionapi.core.work import MODES, mode_of
from tests.factories import NOBODYS, a_request, a_training, an_upscaling

if TYPE_CHECKING:
    from diffusionapi.core.work import Work


def test_each_kind_of_work_has_the_name_of_the_route_that_asks_for_it() -> None:
    mask = Mask(NOBODYS, blur=4.0, invert=False, fill="original", only_masked=False, padding=32)
    source = Source(NOBODYS, strength=0.75, resize="stretch", mask=None)
    hole = Source(NOBODYS, strength=0.75, resize="stretch", mask=mask)
    works: list[Work] = [
        a_request(),
        a_request(source=source),
        a_request(source=hole),
        an_upscaling(),
        a_training(),
    ]
    assert [mode_of(one) for one in works] == list(MODES)
    assert MODES == ("txt2img", "img2img", "inpaint", "upscale", "training")
