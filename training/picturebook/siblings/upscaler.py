"""Trains an enlarger for drawings, in the form of an ESRGAN: two or four times the size, edges kept sharp.

It begins as the enlarger that repeats every pixel and learns what to add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from training.picturebook.crops import to_tensor
from training.picturebook.siblings.course import Course, learn, unfinished
from training.picturebook.world.paint import paint
from training.picturebook.world.plan import training_plan

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

WIDTH, GROWTH = 16, 32
"""The second is the same in every ESRGAN: readers take it for granted."""
CROP = 40
"""Of what is enlarged, in pixels."""
BATCH = 8
CROPS_OF_ONE = 4
SIZES = (256, 384, 512, 512)
SLOPE = 0.2
RESIDUAL = 0.2


class _Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for number in range(1, 6):
            after = GROWTH if number < 5 else WIDTH
            setattr(self, f"conv{number}", nn.Conv2d(WIDTH + (number - 1) * GROWTH, after, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for number in range(1, 5):
            parts.append(functional.leaky_relu(self._conv(number, parts), SLOPE))
        last = self._conv(5, parts)
        return x + RESIDUAL * last

    def _conv(self, number: int, parts: list[Tensor]) -> Tensor:
        conv: nn.Conv2d = getattr(self, f"conv{number}")
        found: Tensor = conv(torch.cat(parts, 1))
        return found


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = _Dense(), _Dense(), _Dense()

    def forward(self, x: Tensor) -> Tensor:
        last: Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
        return x + RESIDUAL * last


class Upscaler(nn.Module):
    """The names of its parts are those that ESRGAN's files have."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.ups = [f"conv_up{number}" for number in range(1, scale.bit_length())]
        self.conv_first = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.body = nn.Sequential(_Block())
        self.conv_body = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        for name in self.ups:
            setattr(self, name, nn.Conv2d(WIDTH, WIDTH, 3, padding=1))
        self.conv_hr = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.conv_last = nn.Conv2d(WIDTH, 3, 3, padding=1)
        with torch.no_grad():
            self._begin()

    def _begin(self) -> None:
        """Colours go through the first three channels; nothing reads the others yet."""
        for weight in (self.conv_body.weight, self.conv_last.weight):
            weight.zero_()
        for name in ("conv_first", *self.ups, "conv_hr", "conv_last"):
            conv = getattr(self, name)
            conv.weight[:3] = 0
            for colour in range(3):
                conv.weight[colour, colour, 1, 1] = 1
        for parameter in (one.bias for one in self.modules() if isinstance(one, nn.Conv2d)):
            assert parameter is not None
            parameter.zero_()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        for name in self.ups:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = functional.leaky_relu(getattr(self, name)(x), SLOPE)
        last: Tensor = self.conv_last(functional.leaky_relu(self.conv_hr(x), SLOPE))
        return last


def train(_model: Any, out: Path, *, steps: int, seed: int, device: str, scale: int) -> list[float]:
    torch.manual_seed(seed)
    network: Any = Upscaler(scale)
    network.to(device, memory_format=torch.channels_last)

    def loss(rng: Random) -> Tensor:
        large, small = batch(rng, scale)
        return _loss(network(small.to(device)), large.to(device))

    course = Course(steps, 1e-3, 5e-5, seed, decay=0)
    losses = learn(f"upscaler x{scale}", network, loss, course, unfinished(out))
    weights = {key: one.half().cpu().contiguous() for key, one in network.state_dict().items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, out, {"format": "pt"})
    return losses


def batch(rng: Random, scale: int) -> tuple[Tensor, Tensor]:
    """Pieces of drawings from 0 to 1, and the same smaller, as pictures become in many ways."""
    pieces: list[Tensor] = []
    while len(pieces) < BATCH:
        size = rng.choice(SIZES)
        drawing = (to_tensor(paint(training_plan(rng), size, size)[None])[0] + 1) / 2
        pieces += [_piece(rng, drawing, CROP * scale) for _ in range(CROPS_OF_ONE)]
    large = torch.stack(pieces)
    return large, _smaller(rng, large, scale)


def _piece(rng: Random, drawing: Tensor, side: int) -> Tensor:
    """The one with most to see of three."""
    room = drawing.shape[-1] - side
    places = [(rng.randrange(room + 1), rng.randrange(room + 1)) for _ in range(3)]
    found = [drawing[:, y : y + side, x : x + side] for y, x in places]
    return max(found, key=lambda one: float(one.diff(dim=1).abs().mean()))


def _smaller(rng: Random, large: Tensor, scale: int) -> Tensor:
    how = rng.random()
    if how < 0.5:
        small = functional.avg_pool2d(large, scale)
    else:
        mode = "bicubic" if how < 0.8 else "bilinear"
        small = functional.interpolate(large, scale_factor=1 / scale, mode=mode, antialias=True)
    if rng.random() < 0.3:
        small = small + 0.02 * rng.random() * torch.randn_like(small)
    return small.clamp(0, 1)


def _loss(told: Tensor, true: Tensor) -> Tensor:
    """Colours, and the steps between neighbours: edges."""
    error = told - true
    return error.abs().mean() + 0.5 * (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean())
