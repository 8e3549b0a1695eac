"""Between latents and pictures: decode at the end, encode what a picture or a second pass starts from."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from PIL import Image

from diffusionapi.engine import memory
from diffusionapi.engine.tiling import around, overlapped
from diffusionapi.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.core.request import Tiling

_TILED_FROM = 1536 * 1536
"""Pixels from which a picture goes through the VAE in tiles; its memory grows with the pixels."""

_SMALL_TILE = 512
"""Pixels on a side, where the device is too full for tiles of the size that the VAE was trained on, or where
these are smaller still: of thumbnails a large picture becomes a mosaic."""


_CELL = 8
"""Pixels a side that a cell of the latents stands for."""


class Coder(Protocol):
    """A model, or a VAE in place of its own."""

    @property
    def path(self) -> Path: ...

    @property
    def vae(self) -> Any: ...

    @property
    def scaling_factor(self) -> float: ...

    @property
    def device(self) -> torch.device: ...


class BlackPicture(Error):
    code = "not_a_number"

    def __init__(self) -> None:
        super().__init__("The VAE answered with numbers that are none; use PRECISION=bf16 or fp32")


def decode(coder: Coder, latents: Tensor, tiling: Tiling = "none") -> Image.Image:
    """The picture of one latent (4, h, w)."""
    vae = coder.vae
    _tile(vae, latents.shape[-2] * latents.shape[-1] * _CELL**2)
    dtype = next(vae.parameters()).dtype
    scaled = (latents[None] / coder.scaling_factor).to(coder.device, dtype)
    pixels = _through(vae, lambda one: vae.decode(one).sample, scaled, tiling, _CELL)[0].float()
    if not bool(torch.isfinite(pixels).all()):
        raise BlackPicture
    pixels = (pixels / 2 + 0.5).clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def encode(coder: Coder, picture: Image.Image, tiling: Tiling = "none") -> Tensor:
    """The latent of a picture, the mean of what the VAE gives, so that it needs no randomness."""
    return encode_pixels(coder, pixels(picture), tiling)


def pixels(picture: Image.Image) -> Tensor:
    """A picture as the VAE sees it: (3, height, width) in -1..1."""
    levels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 127.5 - 1)
    return levels.permute(2, 0, 1)


def encode_pixels(coder: Coder, pixels: Tensor, tiling: Tiling = "none") -> Tensor:
    vae = coder.vae
    _tile(vae, pixels.shape[-2] * pixels.shape[-1])
    dtype = next(vae.parameters()).dtype
    batch = pixels[None].to(coder.device, dtype)
    latents = _through(vae, lambda one: vae.encode(one).latent_dist.mode(), batch, tiling, 1 / _CELL)
    return latents[0].float() * coder.scaling_factor


def _through(vae: Any, work: Callable[[Tensor], Tensor], x: Tensor, tiling: Tiling, factor: float) -> Tensor:
    """What `work` makes of `x`, which is `factor` as large; a tile knows no other edge."""

    def tiled() -> Tensor:
        if vae.use_tiling:
            return overlapped(work, x, tiling, factor)
        with around(tiling):
            return work(x)

    return _with_room(vae, tiled)


def _with_room(vae: Any, work: Callable[[], Tensor]) -> Tensor:
    """What `work` answers; when the device is too full for that, what it answers in small tiles."""
    try:
        return work()
    except torch.OutOfMemoryError:
        pass  # what has failed holds its memory in here
    memory.give_back()
    with _small_tiles(vae):
        return work()


@contextmanager
def _small_tiles(vae: Any) -> Iterator[None]:
    sizes = vae.tile_sample_min_size, vae.tile_latent_min_size
    _set_tiles(vae, _SMALL_TILE)
    vae.enable_tiling()
    try:
        yield
    finally:
        vae.tile_sample_min_size, vae.tile_latent_min_size = sizes


def _tile(vae: Any, pixels: int) -> None:
    if pixels <= _TILED_FROM:
        vae.disable_tiling()
        return
    _set_tiles(vae, max(vae.tile_sample_min_size, _SMALL_TILE))
    vae.enable_tiling()


def _set_tiles(vae: Any, pixels: int) -> None:
    vae.tile_sample_min_size, vae.tile_latent_min_size = pixels, pixels // _CELL
