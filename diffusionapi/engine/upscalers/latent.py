"""The six latent upscalers of AUTOMATIC1111: the first pass's final latents, interpolated."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

PIXELS_PER_CELL = 8


class _Mode(NamedTuple):
    name: str
    antialias: bool = False


MODES = {
    "Latent": _Mode("bilinear"),
    "Latent (antialiased)": _Mode("bilinear", antialias=True),
    "Latent (bicubic)": _Mode("bicubic"),
    "Latent (bicubic antialiased)": _Mode("bicubic", antialias=True),
    "Latent (nearest)": _Mode("nearest"),
    "Latent (nearest-exact)": _Mode("nearest-exact"),
}


def upscale(latents: Tensor, name: str, size: tuple[int, int]) -> Tensor:
    """Latents (4, h, w) or (pictures, 4, h, w) for a picture of `size`, width and height in pixels."""
    mode = MODES[name]
    width, height = (side // PIXELS_PER_CELL for side in size)
    batch = latents if latents.dim() == 4 else latents[None]
    # Half precision has too few bits for the weights of the interpolation.
    larger = functional.interpolate(
        batch.float(), size=(height, width), mode=mode.name, antialias=mode.antialias
    )
    return larger.to(latents.dtype).reshape(*latents.shape[:-2], height, width)
