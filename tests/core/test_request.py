from __future__ import annotations

from diffusionapi.core.request import Hires
from tests.factories import a_request


def test_the_final_size_is_that_of_the_request() -> None:
    assert a_request(width=512, height=768).final_size == (512, 768)


def test_the_second_pass_scales_and_stays_on_the_grid_of_eight() -> None:
    hires = Hires(scale=1.3, upscaler="Latent", steps=5, denoising_strength=0.5)
    assert a_request(width=512, height=512, hires=hires).final_size == (664, 664)
