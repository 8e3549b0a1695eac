"""Upscalers in files, ESRGAN and its many kin: read through spandrel, run tile by tile."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from safetensors.torch import load_file

from diffusionapi.engine.upscalers.torchvision_shim import import_spandrel
from diffusionapi.errors import BrokenModel
from diffusionapi.weights.header import read_header

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from diffusionapi.engine.upscalers.upscaler import Upscaler, Upscaling

TILE = 192
"""Pixels on a side. An ESRGAN of the usual width takes 0.6 GB in fp32 to make one of these 4 times larger."""
OVERLAP = 32
"""Pixels that neighbouring tiles share. They fade into each other there, except for the outermost MARGIN of
each tile, which is dropped: a network does not know there what lies beyond."""
MARGIN = 8
_MOST_PASSES = 3

_DAMAGE = (KeyError, RuntimeError, ValueError, TypeError, AttributeError, AssertionError, IndexError)
"""What spandrel raises at tensors that are missing or of the wrong shape, according to architecture."""


def load(path: Path, device: torch.device) -> Upscaler:
    network = read(path)
    if getattr(network, "purpose", None) not in ("SR", "Restoration") or _channels(network) != (3, 3):
        raise BrokenModel(
            path, f"a network of the kind {network.architecture.name} does not upscale pictures"
        )
    # Half and not bfloat16, whose eight bits are no more than those of the picture.
    dtype = torch.float16 if device.type != "cpu" and network.supports_half else torch.float32
    return _Network(network.to(device, dtype).eval(), device, dtype)


def read(path: Path) -> Any:
    """The network in a file, as spandrel describes it."""
    spandrel = import_spandrel()
    weights = spandrel.canonicalize_state_dict(_weights(path))
    try:
        return spandrel.ModelLoader().load_from_state_dict(weights)
    except spandrel.UnsupportedModelError as error:
        raise BrokenModel(path, "it is no network of a known kind") from error
    except _DAMAGE as error:
        raise BrokenModel(path, f"its tensors do not fit together ({_first_line(error)})") from error


def _channels(network: Any) -> tuple[int, int]:
    return network.input_channels, network.output_channels


def _weights(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        read_header(path)
        return dict(load_file(path))
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BrokenModel(path, f"it is damaged or holds more than weights ({_first_line(error)})") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise BrokenModel(path, f"it is damaged ({_first_line(error)})") from error
    if not isinstance(weights, dict):
        raise BrokenModel(path, "it holds no weights by name")
    return weights


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]


@dataclass(frozen=True, slots=True)
class _Network:
    network: Any
    device: torch.device
    dtype: torch.dtype

    def __call__(self, picture: Image.Image, size: tuple[int, int]) -> Upscaling:
        """As often as it takes to reach `size`, then down to it exactly."""
        passes = _passes(picture.size, size, self.network.scale)
        for number in range(passes):
            picture = yield from self._enlarge(picture, number, passes)
        return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)

    def _enlarge(self, picture: Image.Image, number: int, passes: int) -> Upscaling:
        """Tile by tile; where tiles overlap, a mean in which each counts less towards its edge."""
        scale, side = self.network.scale, TILE
        if self.network.tiling.name == "INTERNAL":
            side = max(picture.size)
        pixels = _to_tensor(picture)
        total = torch.zeros(3, picture.height * scale, picture.width * scale)
        weights = torch.zeros(1, *total.shape[1:])
        places = list(product(_starts(picture.height, side), _starts(picture.width, side)))
        for done, (top, left) in enumerate(places, 1):
            tile = self._run(pixels[:, top : top + side, left : left + side])
            height, width = tile.shape[1:]
            fade = _fade(top, side, picture.height, scale)[:, None] * _fade(left, side, picture.width, scale)
            place = (..., slice(top * scale, top * scale + height), slice(left * scale, left * scale + width))
            total[place] += tile * fade
            weights[place] += fade
            yield (number + done / len(places)) / passes
        return _to_picture(total.div_(weights))

    @torch.inference_mode()
    def _run(self, tile: Tensor) -> Tensor:
        larger: Tensor = self.network(tile[None].to(self.device, self.dtype))
        return larger[0].float().cpu()


def _passes(size: tuple[int, int], wanted: tuple[int, int], scale: int) -> int:
    factor = max(wanted[0] / size[0], wanted[1] / size[1])
    if factor <= 1:
        return 0
    return 1 if scale == 1 else min(_MOST_PASSES, math.ceil(math.log(factor, scale) - 1e-9))


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin; the last one is moved back so that all are of one size."""
    if length <= side:
        return [0]
    return [min(start, length - side) for start in range(0, length - OVERLAP, side - OVERLAP)]


def _fade(start: int, side: int, length: int, scale: int) -> Tensor:
    """How much each row or column of a tile counts: 1, but less towards ends that are not the picture's."""
    end = min(start + side, length)
    place = torch.arange(0.5, (end - start) * scale) / scale
    from_start = place if start > 0 else torch.full_like(place, OVERLAP)
    from_end = place.flip(0) if end < length else torch.full_like(place, OVERLAP)
    return ((torch.minimum(from_start, from_end) - MARGIN) / (OVERLAP - 2 * MARGIN)).clamp(0, 1)


def _to_tensor(picture: Image.Image) -> Tensor:
    values = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    return values.view(picture.height, picture.width, 3).permute(2, 0, 1).float() / 255


def _to_picture(pixels: Tensor) -> Image.Image:
    """Of values that nobody needs any more: of a large picture they are gigabytes."""
    values = pixels.clamp_(0, 1).mul_(255).round_().to(torch.uint8).permute(1, 2, 0).contiguous()
    return Image.fromarray(values.numpy())
