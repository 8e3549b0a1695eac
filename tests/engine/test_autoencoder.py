"""A picture that the device has no room for is decoded and encoded in small tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffusionapi.engine import autoencoder
from diffusionapi.engine.models.load import load
from tests.engine.rendering import a_photo

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.engine.models.loaded import LoadedModel


@pytest.fixture
def model(sdxl_folder: Path) -> LoadedModel:
    return load(sdxl_folder, torch.device("cpu"), torch.float32)


@pytest.fixture
def seen(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, int]]:
    """Whether it went in tiles and of which size, at each call of the VAE; without tiles memory runs out."""
    found: list[tuple[bool, int]] = []
    vae = model.vae

    def full(work: Any) -> Any:
        def tried(*arguments: Any) -> Any:
            found.append((vae.use_tiling, vae.tile_sample_min_size))
            if not vae.use_tiling:
                raise torch.OutOfMemoryError
            return work(*arguments)

        return tried

    monkeypatch.setattr(vae, "decode", full(vae.decode))
    monkeypatch.setattr(vae, "encode", full(vae.encode))
    return found


@torch.inference_mode()
def test_a_picture_too_large_for_the_device_is_decoded_in_small_tiles(
    model: LoadedModel, seen: list[tuple[bool, int]]
) -> None:
    whole = model.vae.tile_sample_min_size
    picture = autoencoder.decode(model, torch.zeros(4, 72, 80))
    assert picture.size == (640, 576)
    assert seen == [(False, whole), (True, 512)]
    autoencoder.decode(model, torch.zeros(4, 72, 80))
    assert seen[2] == (False, whole), "the next one is tried as a whole again"


@torch.inference_mode()
def test_a_picture_too_large_for_the_device_is_encoded_in_small_tiles(
    model: LoadedModel, seen: list[tuple[bool, int]]
) -> None:
    latents = autoencoder.encode(model, Image.new("RGB", (640, 576)))
    assert latents.shape == (4, 72, 80)
    assert [tiled for tiled, _ in seen] == [False, True]


SIDE = 768


@pytest.fixture
def sizes(model: LoadedModel) -> list[int]:
    """Pixels a side of what went through the network at a time."""
    found: list[int] = []
    model.vae.decoder.register_forward_hook(lambda _, __, made: found.append(max(made.shape[-2:])))
    model.vae.encoder.register_forward_pre_hook(lambda _, given: found.append(max(given[0].shape[-2:])))
    return found


@torch.inference_mode()
def test_a_large_picture_goes_through_in_tiles_that_lie_where_they_belong(
    model: LoadedModel, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two a side, of 512 pixels and what is left; between 384 and 512 they fade into each other."""
    monkeypatch.setattr(autoencoder, "_TILED_FROM", 512 * 512)
    model.vae.tile_sample_min_size = 512
    picture = a_photo(SIDE, SIDE)
    latents = autoencoder.encode(model, picture)
    tiled = autoencoder.pixels(autoencoder.decode(model, latents))
    assert max(sizes) == 512
    assert latents.shape == (4, SIDE // 8, SIDE // 8)
    assert tiled.shape == (3, SIDE, SIDE)
    first, last = (
        autoencoder.encode(model, picture.crop(box)) for box in ((0, 0, 512, 512), (384, 384, SIDE, SIDE))
    )
    assert torch.allclose(latents[:, :48, :48], first[:, :48, :48], atol=1e-5)
    assert torch.allclose(latents[:, 64:, 64:], last[:, 16:, 16:], atol=1e-5)
    first, last = (
        autoencoder.pixels(autoencoder.decode(model, latents[box]))
        for box in (np.s_[:, :64, :64], np.s_[:, 48:, 48:])
    )
    assert torch.allclose(tiled[:, :384, :384], first[:, :384, :384], atol=0.01)
    assert torch.allclose(tiled[:, 512:, 512:], last[:, 128:, 128:], atol=0.01)


@torch.inference_mode()
def test_a_smaller_picture_goes_through_as_a_whole_bit_for_bit(model: LoadedModel, sizes: list[int]) -> None:
    autoencoder._tile(model.vae, 2048 * 2048)  # noqa: SLF001 - as if a large one had gone before
    assert model.vae.use_tiling
    latents = torch.randn(4, 72, 80, generator=torch.Generator().manual_seed(0))
    made = autoencoder.decode(model, latents)
    assert sizes == [640]
    model.vae.disable_tiling()
    wanted = model.vae.decode(latents[None] / model.scaling_factor).sample[0]
    levels = (wanted / 2 + 0.5).clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    assert np.array_equal(np.asarray(made), levels.numpy())


def test_tiles_suit_the_vae_but_are_never_thumbnails(model: LoadedModel) -> None:
    vae = model.vae
    for own, used in ((32, 512), (512, 512), (1024, 1024)):
        vae.tile_sample_min_size = own
        autoencoder._tile(vae, 2048 * 2048)  # noqa: SLF001
        assert (vae.tile_sample_min_size, vae.tile_latent_min_size) == (used, used // 8)


def test_a_device_too_full_for_tiles_is_said_to_be(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(model.vae, "decode", full)
    with pytest.raises(torch.OutOfMemoryError):
        autoencoder.decode(model, torch.zeros(4, 8, 8))
