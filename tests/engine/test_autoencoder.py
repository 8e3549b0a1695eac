"""A picture that the device has no room for is decoded and encoded in small tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

from diffusionapi.engine import autoencoder
from diffusionapi.engine.models.load import load

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


def test_a_device_too_full_for_tiles_is_said_to_be(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(model.vae, "decode", full)
    with pytest.raises(torch.OutOfMemoryError):
        autoencoder.decode(model, torch.zeros(4, 8, 8))
