"""A small network that tells which object a picture shows, or that it shows none.

It has learnt from the world's drawings alone (`recogniser_training.py`), never from a caption nor from a
picture that a model painted. Where an ideal drawing laid over the picture (`objects.py`) asks whether every
line is in its place, this one says what somebody would take it for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from training.picturebook.judging.pixels import reduced
from training.picturebook.world.plan import OBJECTS

if TYPE_CHECKING:
    import numpy as np

FILE = Path(__file__).with_name("recogniser.safetensors")
SIDE = 96
CLASSES = (*OBJECTS, "none")
SURE = 0.5
"""How probable an object must be."""
_WIDTHS = (24, 32, 48, 64, 96)


class Recogniser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in _WIDTHS:
            layers += [nn.Conv2d(before, width, 3, 2, 1), nn.GroupNorm(8, width), nn.SiLU()]
            layers += [nn.Conv2d(width, width, 3, 1, 1), nn.GroupNorm(8, width), nn.SiLU()]
            before = width
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(2 * before, len(CLASSES))

    def forward(self, pictures: Tensor) -> Tensor:
        """Of N x 3 x 96 x 96 from 0 to 1, the logits of the classes."""
        seen = self.layers(pictures * 2 - 1)
        found: Tensor = self.head(torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], 1))
        return found


def recognised(picture: np.ndarray) -> str | None:
    """The object in the middle of a picture, None if there is none that one could name."""
    small = reduced(picture, SIDE)
    top, left = ((side - SIDE) // 2 for side in small.shape[:2])
    square = small[top : top + SIDE, left : left + SIDE]
    with torch.inference_mode():
        chances = _trained()(torch.from_numpy(square).permute(2, 0, 1)[None] / 255).softmax(1)[0]
    best = int(chances.argmax())
    return CLASSES[best] if best < len(OBJECTS) and float(chances[best]) >= SURE else None


@cache
def _trained() -> Recogniser:
    network = Recogniser()
    network.load_state_dict({key: one.float() for key, one in load_file(FILE).items()})
    return network.eval()
