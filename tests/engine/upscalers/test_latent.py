from __future__ import annotations

import pytest
import torch

from diffusionapi.catalog.catalog import BUILT_IN_UPSCALERS
from diffusionapi.engine.upscalers import image, latent


def a_row(values: list[float]) -> torch.Tensor:
    return torch.tensor(values).expand(4, 2, len(values))


def test_every_built_in_name_of_the_catalog_has_an_upscaler() -> None:
    assert {*latent.MODES, *image.UPSCALERS} == set(BUILT_IN_UPSCALERS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Latent", [0.0, 0.25, 0.75, 1.0]),
        ("Latent (antialiased)", [0.0, 0.25, 0.75, 1.0]),
        # Keys' kernel at distances 0.25 and 0.75, with a = -3/4 and, antialiased, a = -1/2 without the
        # values beyond the edge.
        ("Latent (bicubic)", [-0.10546875, 0.2265625, 0.7734375, 1.10546875]),
        ("Latent (bicubic antialiased)", [-9 / 102, 29 / 140, 111 / 140, 111 / 102]),
        ("Latent (nearest)", [0.0, 0.0, 1.0, 1.0]),
        ("Latent (nearest-exact)", [0.0, 0.0, 1.0, 1.0]),
    ],
)
def test_a_step_is_interpolated_as_the_name_says(name: str, expected: list[float]) -> None:
    larger = latent.upscale(a_row([0.0, 1.0]), name, (32, 32))
    assert larger.shape == (4, 4, 4)
    torch.testing.assert_close(larger[0, 0], torch.tensor(expected))


def test_nearest_and_nearest_exact_differ_where_the_factor_is_not_whole() -> None:
    row = a_row([0.0, 1.0, 2.0])
    assert latent.upscale(row, "Latent (nearest)", (40, 16))[0, 0].tolist() == [0, 0, 1, 1, 2]
    assert latent.upscale(row, "Latent (nearest-exact)", (40, 16))[0, 0].tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("name", latent.MODES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_type_and_batch_stay_and_the_size_is_cut_to_cells(name: str, dtype: torch.dtype) -> None:
    latents = torch.randn(2, 4, 8, 6).to(dtype)
    larger = latent.upscale(latents, name, (77, 103))
    assert larger.shape == (2, 4, 12, 9)
    assert larger.dtype == dtype
    assert torch.equal(larger[1], latent.upscale(latents[1], name, (77, 103)))
